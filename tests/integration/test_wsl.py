"""A WSL distribution that is found by itself and used, over standard input and output.

The sandbox stands for the distribution, a script for wsl.exe (`tests/fake_wsl.py`), which leads
into it. Nothing of this has run on Windows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Final

import pytest

from tests.fake_wsl import FakeWsl
from tests.integration.conftest import SandboxHome
from tests.integration.samehost import IMAGE, Samehost, free_port, talk, until
from tests.integration.servers import GREETER
from tests.integration.test_main_job import refuses, web_server
from tests.integration.test_ssh import UDP_ECHO
from tests.integration.udp import ask, client

NAME: Final = "wsl-Debian"
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_REACHED: Final = 4
"""The exit code of a machine, or an engine, that cannot be reached (DESIGN 8)."""


class WslSamehost(Samehost):
    """One of a person with a running distribution; containers are started by the sandbox's engine,
    which is within it and has no socket here."""

    def __init__(self, sandbox: SandboxHome, wsl: FakeWsl) -> None:
        super().__init__()
        self.wsl = wsl
        self._sandbox = sandbox
        self.environment |= {"HOME": str(wsl.home), "PATH": f"{wsl.folder}:{SYSTEM_PATH}"}
        self.environment.pop("SUDO_USER", None)
        (self.home / "settings.json").write_text('{"hostNetworkingEnabled": true}')

    def docker(self, *arguments: str, text: str = "") -> str:
        """See `Samehost`."""
        assert not text
        return self._sandbox.docker(*arguments).stdout.strip()

    def listed(self) -> dict[str, object]:
        """Its line of `samehost machine list`."""
        [ours] = [
            each
            for each in json.loads(self.run("machine", "list", "--json"))
            if each["name"] == NAME
        ]
        return dict(ours)

    def terminated(self) -> list[str]:
        """How wsl.exe was told to end a distribution."""
        return [call for call in self.wsl.calls() if "--terminate" in call]


@pytest.fixture(scope="module")
def samehost(
    sandbox_home: SandboxHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WslSamehost]:
    """Up, without a word about which machine is meant."""
    follows = ("setpriv", "--pdeathsig", "KILL")
    wsl = FakeWsl(tmp_path_factory.mktemp("wsl"), inside=sandbox_home.sandbox.command(*follows))
    wsl.install("Debian", "Running")
    made = WslSamehost(sandbox_home, wsl)
    try:
        made.run("up")
        yield made
    finally:
        made.remove()
        wsl.close()


def test_the_one_that_runs_is_attached_over_its_standard_input_and_output(
    samehost: WslSamehost,
) -> None:
    machine = samehost.status()["machine"]
    assert (machine["name"], machine["kind"]) == (NAME, "wsl")
    assert (machine["state"], machine["transport"]) == ("connected", "stdio")
    ours = samehost.listed()
    assert (ours["state"], ours["current"], ours["reached"]) == ("running", True, "wsl Debian")


def test_both_documented_examples_work(samehost: WslSamehost) -> None:
    port = free_port()
    with samehost.container("nc", "-lkv", "0.0.0.0", str(port)) as container:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        talk("localhost", port, b"typed on the desktop\n")
        until(lambda: "typed on the desktop" in samehost.docker("logs", container), "the words")
    until(lambda: refuses("127.0.0.1", port), "the mirror to go")
    with web_server() as web:
        until(lambda: samehost.states(web, "host") == ["active"], "the desktop's server there")
        get = ("busybox", "wget", "-q", "-O", "-", f"http://localhost:{web}/")
        said = samehost.docker("run", "--rm", "--net=host", IMAGE, *get)
        assert "page of the desktop" in said


def test_datagrams_go_there_and_back(samehost: WslSamehost) -> None:
    port = free_port()
    with samehost.python(UDP_ECHO, str(port)):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        with client("127.0.0.1", port) as sock:
            assert ask(sock, b"datagram") == b"datagram"


def test_its_engine_is_within_it_and_that_is_said(samehost: WslSamehost) -> None:
    for command in (("docker", "version"), ("machine", "env"), ("machine", "env", NAME)):
        done = samehost.try_run(*command)
        assert done.returncode == NOT_REACHED
        assert "the engine of the machine wsl-Debian cannot be reached from here" in done.stderr


def test_the_doctor_goes_the_whole_way(samehost: WslSamehost) -> None:
    steps = json.loads(samehost.run("machine", "doctor", NAME, "--json"))
    assert steps[0]["evidence"] == "wsl.exe says that it runs"
    assert (steps[1]["step"], steps[1]["evidence"]) == ("log-in", "by wsl")
    assert all(step["state"] == "ok" for step in steps)


def test_when_wsl_exe_dies_another_one_takes_its_place(samehost: WslSamehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "dual", "still here"):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        before = _wsl_processes(samehost)
        assert before
        for pid in before:
            with contextlib.suppress(ProcessLookupError):  # one may end with another
                os.kill(pid, signal.SIGKILL)
        until(lambda: set(_wsl_processes(samehost)) - set(before), "another wsl.exe")
        until(lambda: samehost.states(port) == ["active"], "the mirror to return")
        assert talk("127.0.0.1", port) == b"still here"


def _wsl_processes(samehost: WslSamehost) -> list[int]:
    """Those by which agents run."""
    program = str(samehost.wsl.relay)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as file:
                    is_one = program in file.read()
            except OSError:
                continue
            if is_one:
                found.append(int(name))
    return found


def test_down_leaves_it_running_and_only_machine_stop_ends_it(samehost: WslSamehost) -> None:
    samehost.run("down")
    until(lambda: _wsl_processes(samehost) == [], "them to end")
    assert samehost.listed()["state"] == "running"
    assert samehost.terminated() == []
    samehost.run("machine", "stop", NAME)
    assert samehost.terminated() == ["wsl.exe --terminate Debian"]
    assert samehost.listed()["state"] == "stopped"
    samehost.run("machine", "start", NAME)
    assert "wsl.exe --distribution Debian --exec true" in samehost.wsl.calls()
    assert samehost.listed()["state"] == "running"


def test_in_mirrored_mode_it_is_told_and_not_attached(samehost: WslSamehost) -> None:
    samehost.wsl.network("mirrored")
    done = samehost.try_run("up", "--machine", NAME)
    assert done.returncode != 0
    assert "WSL shares localhost in both directions by itself" in done.stderr
    assert samehost.listed()["state"] == "running"
