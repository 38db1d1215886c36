"""The command as a whole: usage, errors, exit codes, and how light it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from desktop.cli.main import VERBS, main
from desktop.errors import (
    ConflictError,
    MachineUnreachableError,
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
    VersionMismatchError,
)
from desktop.paths import HOME_VARIABLE, Paths
from link.version import PROTOCOL, VERSION
from tests.capabilities import POSIX_PROCESSES, needs
from tests.ended import ended
from tests.unit.cli.conftest import Command


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["status", "--jason"],
        ["settings"],
        ["settings", "get"],
        ["machine", "explode"],
        ["ports", "--js"],
        ["up", "extra"],
    ],
)
def test_wrong_usage_ends_with_two_and_a_word(samehost: Command, arguments: list[str]) -> None:
    result = samehost(*arguments)
    assert result.code == 2
    assert "usage: samehost" in result.err
    assert result.out == ""


@pytest.mark.parametrize("verb", ["", *sorted(set(VERBS) - {"docker"})])
def test_every_verb_has_a_help(samehost: Command, verb: str) -> None:
    result = samehost(*([verb] if verb else []), "--help")
    assert result.code == 0
    assert f"usage: samehost {verb}".strip() in result.out


def test_the_help_names_every_verb_and_exit_code(samehost: Command) -> None:
    text = samehost("--help").out
    assert [verb for verb in VERBS if f"\n    {verb} " not in text] == []
    assert "7 version mismatch" in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SamehostError, 1),
        (UsageError, 2),
        (NotRunningError, 3),
        (MachineUnreachableError, 4),
        (PermissionDeniedError, 5),
        (ConflictError, 6),
        (VersionMismatchError, 7),
    ],
)
def test_an_error_is_said_with_its_remedy_and_has_its_code(
    samehost: Command, monkeypatch: pytest.MonkeyPatch, error: type[SamehostError], code: int
) -> None:
    def fail(*_: object) -> None:
        raise error("it went\x1b[31m wrong", "try again")

    monkeypatch.setattr("desktop.cli.version.run", fail)
    result = samehost("version")
    assert (result.code, result.out) == (code, "")
    assert result.err == "samehost: it went [31m wrong\n  try again\n"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left", "/x"), 1, "samehost: /x: No space left\n"),
        (OSError(28, "No space left"), 1, "samehost: No space left\n"),
        (PermissionError(13, "Denied", "/x"), 5, "samehost: /x: Denied\n"),
    ],
)
def test_what_the_system_throws_is_an_exit_code_too(
    samehost: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("desktop.cli.version.run", fail)
    result = samehost("version")
    assert result.code == code
    assert result.err.startswith(text)


def test_version_says_so_in_both_forms(samehost: Command) -> None:
    assert samehost("version").out == f"samehost {VERSION} (protocol {PROTOCOL})\n"
    assert samehost("--version").out == samehost("-V").out == samehost("version").out
    expected = f'{{\n  "version": "{VERSION}",\n  "protocol": {PROTOCOL}\n}}\n'
    assert samehost("version", "--json").out == expected


def test_a_home_too_deep_for_sockets_is_a_usage_error(
    samehost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/tmp/" + "x" * 100)
    result = samehost("status")
    assert result.code == 2
    assert HOME_VARIABLE in result.err


@pytest.mark.parametrize("verb", ["version", "status", "settings list"])
def test_reading_verbs_start_without_the_heavy_libraries(paths: Paths, verb: str) -> None:
    code = (
        "import sys; from desktop.cli.main import main; main(sys.argv[1:]);"
        "print(sorted({'asyncio', 'msgspec', 'uvloop', 'subprocess'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *verb.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert list(paths.config.iterdir()) == []


def test_a_reader_that_leaves_is_no_error(paths: Paths) -> None:
    assert paths.config.exists()
    code = "import sys; from desktop.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "settings", "list"]
    pipe = subprocess.PIPE
    with ended(subprocess.Popen(command, stdout=pipe, stderr=pipe)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(10) == 0


def test_main_reads_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], paths: Paths
) -> None:
    assert paths.config.exists()
    monkeypatch.setattr("sys.argv", ["samehost", "version"])
    assert main() == 0
    assert VERSION in capsys.readouterr().out


@needs(POSIX_PROCESSES)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_standard_streams_it_does_the_same_and_says_nothing(closed: str) -> None:
    code = "import os, sys; from desktop.cli.main import main; code = main(['version']); "
    code += "sys.exit(code or [os.get_inheritable(each) for each in (0, 1, 2)] != [True] * 3)"
    line = f'exec "$@" {closed}'
    result = subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, "-c", code], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (VERSION in result.stdout) == (">&-" not in closed.replace("2>&-", ""))
