"""`samehost docker`: the arguments of somebody else's command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.cli.docker import wants_host_network
from desktop.paths import Paths
from tests.capabilities import UNIX_SOCKETS, require
from tests.served_backend import ServedBackend
from tests.unit.cli.conftest import Command

DOCKER = """#!/bin/sh
echo "host=$DOCKER_HOST context=${DOCKER_CONTEXT-none}"
for argument in "$@"; do echo "<$argument>"; done
exit 42
"""


@pytest.fixture
def engine(served: ServedBackend, paths: Paths) -> Iterator[str]:
    """Something that takes connections where the engine should be."""
    place = str(paths.config / "docker.sock")
    require(UNIX_SOCKETS)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(place)
        sock.listen()
        served.backend.machine_states["sandbox"].docker_host = f"unix://{place}"
        yield f"unix://{place}"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker command that says how it was called."""
    for name in ("docker", "docker.bat"):  # of POSIX, and to be found by Windows
        (tmp_path / name).write_text(DOCKER)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since it becomes another program."""
    code = "import sys; from desktop.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--rm", "-it", "--", "x", "a b"],
        ["-h"],
        ["--json", "--version", ""],
        [],
    ],
)
def test_all_arguments_and_the_exit_code_pass(engine: str, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 42
    assert done.stdout.splitlines() == [
        f"host={engine} context=none",
        *(f"<{argument}>" for argument in arguments),
    ]


@pytest.mark.usefixtures("docker", "engine")
def test_host_networking_while_off_is_warned_of(served: ServedBackend) -> None:
    assert "samehost enable" in run("run", "--net=host", "x").stderr
    assert run("run", "x").stderr == ""
    served.run(served.backend.set_enabled(True))
    assert run("run", "--net=host", "x").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "wants"),
    [
        (["run", "--net=host", "x"], True),
        (["run", "--network=host", "x"], True),
        (["run", "--network", "host", "x"], True),
        (["run", "--net", "host", "x"], True),
        (["run", "--network", "bridge", "x"], False),
        (["run", "--hostname", "host", "x"], False),
        (["run", "x", "--network"], False),
        ([], False),
    ],
)
def test_the_host_network_is_recognised(arguments: list[str], wants: bool) -> None:
    assert wants_host_network(arguments) is wants


@pytest.mark.usefixtures("engine")
def test_a_missing_docker_command_has_a_remedy(
    samehost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    result = samehost("docker", "ps")
    assert result.code == 1
    assert "docker.io" in result.err


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("docker_host", ["unix:///nonexistent/docker.sock", ""])
def test_a_machine_that_does_not_run_is_unreachable(
    samehost: Command, served: ServedBackend, docker_host: str
) -> None:
    served.backend.machine_states["sandbox"].docker_host = docker_host
    result = samehost("docker", "ps")
    assert result.code == 4
    assert "samehost up" in result.err


@pytest.mark.usefixtures("registry", "docker")
def test_without_a_daemon_the_machine_is_unreachable(samehost: Command) -> None:
    result = samehost("docker", "ps")
    assert result.code == 4
    assert "samehost up" in result.err
