"""What a front-end in another process is told of this installation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from desktop.api.local import (
    daemon_command,
    failure_of,
    runtime_folder,
    socket_path,
    verb_command,
)
from desktop.api.stream import address_of
from desktop.cli.output import print_error
from desktop.errors import ConflictError, MachineUnreachableError, SamehostError, UsageError
from desktop.paths import HOME_VARIABLE, Paths


def test_paths_are_those_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/tmp/some")
    assert socket_path() == address_of(Paths.find().api_socket)
    assert Path(runtime_folder()) == Paths.find().api_socket.parent


def test_a_home_that_is_too_deep_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/tmp/" + "x" * 200)
    with pytest.raises(UsageError):
        socket_path()


def test_a_command_runs_a_verb_of_this_very_installation(tmp_path: Path) -> None:
    (tmp_path / "desktop").mkdir()
    (tmp_path / "desktop" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    command = verb_command("version", "--json")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert '"version"' in done.stdout
    assert daemon_command() == verb_command("up", "--no-machine")


@pytest.mark.parametrize(
    "error",
    [
        SamehostError("it failed"),
        UsageError("it is wrong", "do it right"),
        ConflictError("two at once", "first this\nthen that"),
        MachineUnreachableError("no way: samehost: odd", "look"),
    ],
)
def test_an_error_that_was_printed_is_read_again(
    error: SamehostError, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(error)
    printed = capsys.readouterr().err.splitlines()
    lines = ["samehost: a warning before", "starting something", *printed]
    assert failure_of(int(error.code), lines) == {
        "code": error.code.name,
        "message": error.message,
        "remedy": error.remedy,
    }


@pytest.mark.parametrize(
    ("code", "lines", "message"),
    [
        (1, [], "the command ended with code 1"),
        (1, ["Traceback (most recent call last):", "  x", "OSError: no", ""], "OSError: no"),
        (-1, [], "the command did not end by itself"),
        (99, ["usage: samehost"], "usage: samehost"),
    ],
)
def test_an_end_without_an_error_is_told_by_its_last_words(
    code: int, lines: list[str], message: str
) -> None:
    failure = failure_of(code, lines)
    assert (failure["code"], failure["message"]) == ("FAILED", message)
    assert failure["remedy"]


def test_it_is_light() -> None:
    program = (
        "import sys, desktop.api.local; print([name for name in sys.modules if"
        " name.split('.')[0] in ('asyncio', 'msgspec', 'paramiko', 'uvloop', 'psutil')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"
