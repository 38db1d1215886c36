"""What wsl.exe is told, and what is made of it when it fails instead of running a program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.machines.bootstrap import START_SCRIPT
from desktop.machines.doors import StdioOrder, TcpDoor
from desktop.machines.launch import AgentStartError
from desktop.machines.remote import start_agent
from desktop.machines.shell import Completed, ShellError, ShellTrouble
from desktop.machines.wsl_complaints import as_error, is_complaint
from desktop.machines.wsl_shell import WslShell
from desktop.transports.transport import TransportError
from tests.fake_tools import FakeTools
from tests.fake_wsl import FakeWsl
from tests.recordings import wsl

WINDOWS_FAILURE = 0xFFFFFFFF
WINDOWS_COMMAND_LINE = 32767


@pytest.fixture(params=["utf-8", "utf-16"])
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeWsl]:
    """One distribution, stopped; of a WSL that knows WSL_UTF8, and of one that does not."""
    made = FakeWsl(tmp_path, knows_utf8=request.param == "utf-8")
    made.install("Debian")
    yield made
    made.close()


def shell(fake: FakeTools, distribution: str = "Debian") -> WslShell:
    return WslShell(distribution, fake.tools())


def run(fake: FakeTools, script: str, distribution: str = "Debian") -> Completed:
    return asyncio.run(shell(fake, distribution).run(script))


def trouble(fake: FakeTools, distribution: str = "Debian") -> ShellError:
    with pytest.raises(ShellError) as caught:
        asyncio.run(shell(fake, distribution).connect())
    return caught.value


# What it is told


def test_programs_run_as_root_in_the_distribution_and_no_shell_is_asked_first(
    fake: FakeWsl,
) -> None:
    assert run(fake, "echo up").output == b"up\n"
    assert fake.calls() == ["wsl.exe --distribution Debian --user root --exec sh -c echo up"]


def test_wsls_own_warnings_are_kept_out_of_what_a_program_says(tmp_path: Path) -> None:
    fake = FakeTools(tmp_path)
    fake.script("wsl.exe", 'echo "$WSL_UTF8 $WSL_DISABLE_WARNINGS"')
    assert run(fake, "true").output == b"1 1\n"


def test_the_script_that_starts_the_agent_fits_into_a_command_line_of_windows() -> None:
    assert len(START_SCRIPT) < WINDOWS_COMMAND_LINE / 4


def test_nothing_but_standard_input_and_output_leads_to_an_agent(fake: FakeWsl) -> None:
    made = shell(fake)
    assert made.doors == (StdioOrder(),)
    assert made.own_ports == frozenset()
    with pytest.raises(TransportError):
        asyncio.run(made.forward(TcpDoor((8000,))))


# What it says when it fails


@pytest.mark.parametrize(
    ("which", "why", "message", "remedy"),
    [
        ("not-found", "UNREACHABLE", "no WSL distribution called Debian", "--list --verbose"),
        ("no-user", "AUTHENTICATION_FAILED", "has no user root", "cat /etc/passwd"),
        ("no-platform", "NOT_INSTALLED", "cannot start its virtual machine", "firmware"),
        ("no-component", "NOT_INSTALLED", "WSL is not installed", "--install --no-distribution"),
        ("elevated", "REFUSED", "with other rights", "as administrator, or neither"),
        ("timeout", "TIMED_OUT", "does not answer in time", "wsl.exe --shutdown"),
        ("unknown", "FAILED", "Ein unbekannter Fehler ist aufgetreten. Fehlercode", "try it"),
    ],
)
def test_a_complaint_leads_to_what_a_person_can_do(
    fake: FakeWsl, which: str, why: str, message: str, remedy: str
) -> None:
    fake.complain(which)
    error = trouble(fake)
    assert error.trouble is ShellTrouble[why]
    assert message in error.message
    assert remedy in error.remedy
    assert "\0" not in error.message
    assert "\n" not in error.message


def test_a_distribution_that_was_removed_is_named(fake: FakeWsl) -> None:
    error = trouble(fake, "Ubuntu-22.04")
    assert error.message.startswith("there is no WSL distribution called Ubuntu-22.04 (There is no")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("which", sorted(wsl.COMPLAINTS))
def test_on_windows_its_status_alone_tells_that_it_was_wsl(which: str, encoding: str) -> None:
    output = wsl.COMPLAINTS[which].replace("\n", "\r\n").encode(encoding)
    assert is_complaint(WINDOWS_FAILURE, output)
    error = as_error("Debian", output, WINDOWS_FAILURE)
    assert wsl.COMPLAINTS[which].splitlines()[0][:30] in error.message
    assert error.remedy


def test_one_without_a_word_is_told_by_its_status() -> None:
    assert is_complaint(WINDOWS_FAILURE, b"")
    assert "said nothing, and ended with status 4294967295" in str(
        as_error("Debian", b"", WINDOWS_FAILURE).message
    )


@pytest.mark.parametrize("number", ["0x8007019e", "0x80370102"])
def test_numbers_are_known_where_the_words_are_of_another_language(number: str) -> None:
    error = as_error("Debian", f"Fehler {number}".encode(), WINDOWS_FAILURE)
    assert error.trouble is ShellTrouble.NOT_INSTALLED


def test_the_stub_that_windows_has_for_wsl_is_known(tmp_path: Path) -> None:
    output = wsl.COMPLAINTS["not-installed"].replace("\n", "\r\n").encode("utf-16-le")
    fake = FakeTools(tmp_path)
    fake.put("wsl.exe", output, status=1)
    error = trouble(fake)
    assert error.trouble is ShellTrouble.NOT_INSTALLED
    assert error.message.startswith("WSL is not installed (The Windows Subsystem for Linux is not")


def test_where_there_is_no_wsl_it_is_said(tmp_path: Path) -> None:
    error = trouble(FakeTools(tmp_path))
    assert error.trouble is ShellTrouble.NOT_INSTALLED
    assert "wsl --install" in error.remedy


def test_a_file_that_is_no_program_is_told(tmp_path: Path) -> None:
    fake = FakeTools(tmp_path)
    fake.broken("wsl.exe", "cannot be executed")
    assert "cannot be run" in trouble(fake).message


def test_one_that_somebody_ended_is_told(tmp_path: Path) -> None:
    fake = FakeTools(tmp_path)
    fake.script("wsl.exe", "kill -KILL $$")
    assert trouble(fake).trouble is ShellTrouble.KILLED


@pytest.mark.parametrize("status", [1, 2, 255])
def test_what_a_program_itself_ends_with_is_its_own(fake: FakeWsl, status: int) -> None:
    done = run(fake, f"printf 'User not found.\\n\\0fed\\377'; exit {status}")
    assert (done.status, done.output) == (status, b"User not found.\n\0fed\xff")


def test_a_distribution_without_sh_is_told(tmp_path: Path) -> None:
    fake = FakeTools(tmp_path)
    said = b"<3>WSL (9) ERROR: CreateProcessCommon:818: execvpe(sh) failed: No such file"
    fake.put("wsl.exe", errors=said, status=1)
    error = trouble(fake)
    assert "execvpe(sh) failed" in error.message
    assert "--exec sh" in error.remedy


def test_an_agent_that_never_starts_has_wsls_words_as_the_reason(fake: FakeWsl) -> None:
    fake.complain("timeout")
    with pytest.raises(AgentStartError) as caught:
        asyncio.run(start_agent(shell(fake), StdioOrder(), bytes(32)))
    assert "HCS_E_CONNECTION_TIMEOUT" in caught.value.message
    assert "\0" not in caught.value.message
