"""What this computer's system reserves: asked for without waiting, and only where that is done."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest

from desktop.daemon import host_system
from desktop.daemon.host_system import FRESH_SECONDS, HostSystem, show_excluded, system_of
from desktop.mirror.systems import LINUX, MACOS, WINDOWS, ExcludedRange

RANGE = ExcludedRange(80, 90, is_administered=False)


class Netsh:
    """netsh that is asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.answered = threading.Semaphore(0)
        self.error: OSError | None = None

    def __call__(self, protocol: str) -> str:
        self.asked.append(protocol)
        self.may_answer.wait()
        self.answered.release()
        if self.error is not None:
            raise self.error
        return "  80  90\n"


def known(here: HostSystem, protocol: str = "tcp") -> list[ExcludedRange]:
    """What is known once netsh has answered."""
    here.excluded(protocol)
    here._asked[protocol].exception()
    return here.excluded(protocol)


@pytest.mark.parametrize(
    ("platform", "system"), [("linux", LINUX), ("darwin", MACOS), ("win32", WINDOWS)]
)
def test_each_platform_has_its_system(platform: str, system: object) -> None:
    assert system_of(platform) is system


def test_a_system_that_reserves_nothing_is_not_asked() -> None:
    netsh = Netsh()
    here = HostSystem(LINUX, netsh)
    assert here.excluded("tcp") == []
    assert netsh.asked == []
    here.close()


def test_the_ranges_are_known_by_the_next_try_and_nobody_waits_for_them() -> None:
    netsh = Netsh()
    here = HostSystem(WINDOWS, netsh)
    assert here.excluded("tcp") == []
    assert here.excluded("tcp") == []
    netsh.may_answer.set()
    here._asked["tcp"].result()
    assert here.excluded("tcp") == [RANGE]
    assert netsh.asked == ["tcp"]
    here.close()


def test_what_is_known_is_asked_for_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("desktop.daemon.host_system.time.monotonic", lambda: now)
    netsh = Netsh()
    netsh.may_answer.set()
    here = HostSystem(WINDOWS, netsh)
    assert known(here) == [RANGE]
    now += FRESH_SECONDS - 1
    assert here.excluded("tcp") == [RANGE]
    assert netsh.asked == ["tcp"]
    now += 1
    assert known(here) == [RANGE]
    assert known(here, "udp") == [RANGE]
    assert netsh.asked == ["tcp", "tcp", "udp"]
    here.close()


def test_where_netsh_fails_nothing_is_known_and_it_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    netsh = Netsh()
    netsh.error = OSError("no netsh")
    netsh.may_answer.set()
    here = HostSystem(WINDOWS, netsh)
    assert known(here) == []
    assert "no netsh" in caplog.text
    here.close()
    here.close()


def test_the_command_shows_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, b"\xff 80 90", b"")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(host_system, "program_file", lambda name: f"/system/{name}")
    assert "80 90" in show_excluded("udp")
    shown = ["interface", "ipv4", "show", "excludedportrange", "protocol=udp"]
    assert commands == [["/system/netsh", *shown]]


def test_a_command_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(host_system, "program_file", lambda name: f"/system/{name}")
    with pytest.raises(OSError, match="netsh failed"):
        show_excluded("tcp")
