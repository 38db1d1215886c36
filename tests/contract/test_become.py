"""Another program in the place of a command: by exec, and as a child, which every system can have.

Limits: elsewhere than on Windows the child is told of Ctrl-C by a signal to its group, as by a
terminal; `tests/windows/test_command.py` has a console.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from desktop.cli.become import become
from tests.ended import ended

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
COMMAND = """
import json, os, sys
from desktop.cli.become import become
print("before", end=" ")
name, program, environment, *arguments = sys.argv[1:]
sys.exit(become(program, arguments, {**os.environ, **json.loads(environment)}, name))
"""
FAMILIAR = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ.get("WHERE"), os.getcwd(), sys.stdin.read()]))
print("aside", file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""
STUBBORN = """
import signal, sys, threading
told = threading.Event()
signal.signal(signal.SIGINT, lambda *_: told.set())
print("up", flush=True)
while not told.wait(0.05):
    pass
sys.exit(5)
"""
KINDS = ["posix", "nt"] if os.name != "nt" else ["nt"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def command(kind: str, program: str, *arguments: str, **environment: str) -> list[str]:
    """A Python that becomes `program`."""
    return [sys.executable, "-c", COMMAND, kind, program, json.dumps(environment), *arguments]


def run(argv: list[str], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        argv,
        env=environment,
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_it_has_our_streams_and_folder_its_own_environment_and_its_exit_code_is_ours(
    kind: str, tmp_path: Path, code: int
) -> None:
    argv = command(kind, sys.executable, "-c", FAMILIAR, CODE=str(code), WHERE="here")
    done = run(argv, tmp_path, "spoken")
    before, _, said = done.stdout.partition(" ")
    assert (done.returncode, before) == (code, "before")
    arguments, where, folder, heard = json.loads(said)
    assert (arguments, where, heard) == ([], "here", "spoken")
    assert os.path.samefile(folder, tmp_path)
    assert done.stderr.split() == ["aside"]


def test_its_arguments_are_what_they_were(kind: str, tmp_path: Path) -> None:
    arguments = ["a b", "", 'say "no"', "back\\", 'back\\ " and', "%PATH%", "*", "ä€", "--", "-c"]
    argv = command(kind, sys.executable, "-c", FAMILIAR, *arguments, CODE="0")
    assert json.loads(run(argv, tmp_path).stdout.removeprefix("before "))[0] == arguments


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with two programs of the name `tool`, one for each kind."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("tool", "tool.exe"):
        (folder / name).write_text("#!/bin/sh\nexit 7\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="a program there is no script")
def test_a_name_is_looked_for_in_path_of_the_environment_that_is_handed_over(
    kind: str, tools: Path, tmp_path: Path
) -> None:
    path = os.pathsep.join(["", "relative", str(tmp_path / "nowhere"), str(tools)])
    assert run(command(kind, "tool", PATH=path), tmp_path).returncode == 7


def test_one_that_lies_in_the_working_directory_is_not_taken(kind: str, tools: Path) -> None:
    done = run(command(kind, "tool", PATH=str(tools.parent)), tools)
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr


def test_one_that_is_not_there_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in KINDS:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FileNotFoundError, match="samehost-no-such-program"):
            become("samehost-no-such-program", [], None, kind)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C goes to a console there")
def test_what_ctrl_c_means_is_its_business(kind: str) -> None:
    argv = command(kind, sys.executable, "-c", STUBBORN)
    process = subprocess.Popen(
        argv,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with ended(process):
        assert process.stdout is not None
        with process.stdout as out:
            assert out.readline() == "before up\n"
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(PATIENCE) == 5


def test_ctrl_c_means_afterwards_what_it_meant_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert become(sys.executable, ["-c", "raise SystemExit(3)"], None, "nt") == 3
    assert signal.getsignal(signal.SIGINT) is before
