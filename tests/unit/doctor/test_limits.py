"""What macOS and Windows let the daemon have, from what those systems would tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from desktop.doctor import limits_linux, limits_macos, limits_windows
from desktop.doctor.limits import Port, limits
from tests.capabilities import POSIX_FILES, needs

UNLIMITED = 2**63 - 1
"""RLIM_INFINITY of macOS (sys/resource.h)."""


class GoneError(Exception):
    """psutil's, of a process that is not there or not ours."""


def pretend_process(patch: pytest.MonkeyPatch, count: int | None) -> None:
    """Let psutil tell of so many files and handles; None: it may not look."""

    def opened() -> int:
        if count is None:
            raise GoneError
        return count

    process = SimpleNamespace(num_fds=opened, num_handles=opened)
    patch.setitem(
        sys.modules, "psutil", SimpleNamespace(Process=lambda _pid: process, Error=GoneError)
    )


def test_each_system_has_its_own() -> None:
    found = [limits(platform) for platform in ("linux", "darwin", "win32")]
    assert found == [limits_linux, limits_macos, limits_windows]


@pytest.mark.parametrize(
    ("most", "pid", "opened", "state", "words"),
    [
        (61440, 0, None, "ok", "could open 61440 files"),
        (61440, 7, 40, "ok", "61440 files, 40 are open"),
        (61440, 7, None, "ok", "could open 61440 files"),
        (10240, 7, 40, "warning", "enough for about 5120 connections"),
        (1024, 7, 1000, "error", "no mirror or connection can be added"),
    ],
)
def test_the_files_of_macos_are_those_that_its_kernel_gives(
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    pid: int,
    opened: int | None,
    state: str,
    words: str,
) -> None:
    pretend_process(monkeypatch, opened)
    found = limits_macos.judge_files(pid, lambda: most)
    assert (found.state, words in found.evidence) == (state, True)
    assert ("launchctl limit maxfiles" in found.remedy) == (state != "ok")


@pytest.mark.parametrize(("hard", "expected"), [(UNLIMITED, 61440), (4096, 4096), (99999, 61440)])
def test_the_hard_limit_of_macos_counts_where_it_is_lower(
    monkeypatch: pytest.MonkeyPatch, hard: int, expected: int
) -> None:
    kernel = SimpleNamespace(
        RLIMIT_NOFILE=8, RLIM_INFINITY=UNLIMITED, getrlimit=lambda _kind: (256, hard)
    )
    monkeypatch.setitem(sys.modules, "resource", kernel)
    told = {"kern.maxfilesperproc": (61440).to_bytes(4, "little")}
    assert limits_macos.most_files(told.__getitem__) == expected


@pytest.mark.parametrize(
    ("uid", "denied", "state", "words"),
    [
        (0, [("tcp", 80)], "ok", "has the privilege"),
        (501, [], "note", "turn others away"),
        (501, [("tcp", 8080)], "note", "turn others away"),
        (501, [("udp", 443), ("tcp", 80)], "warning", "are wanted: 80, 443"),
    ],
)
def test_low_ports_of_macos_are_judged_by_user_and_wish(
    monkeypatch: pytest.MonkeyPatch, uid: int, denied: list[Port], state: str, words: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid, raising=False)
    found = limits_macos.judge_ports(7, denied)
    assert (found.state, words in found.evidence) == (state, True)
    assert ("remap" in found.remedy) == (state != "ok")


def macos(most: int) -> Callable[[int, tuple[int, int]], None]:
    """setrlimit(2) of macOS, whose hard limit is unlimited."""

    def setrlimit(_kind: int, wanted: tuple[int, int]) -> None:
        if wanted[0] == UNLIMITED or wanted[0] > most:
            raise ValueError("EINVAL")
        taken.append(wanted[0])

    taken: list[int] = []
    setrlimit.taken = taken  # type: ignore[attr-defined]
    return setrlimit


@needs(POSIX_FILES)
def test_on_macos_a_daemon_gets_files_though_the_hard_limit_is_more_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    from desktop.daemon import files_posix

    setrlimit = macos(61440)
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, 2**63 - 1))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    files_posix.raise_limit(1 << 20)
    assert setrlimit.taken == [32768]  # type: ignore[attr-defined]


EXCLUDED = """
Protocol tcp Port Exclusion Ranges

Start Port    End Port
----------    --------
      5357        5357
     50000       50059     *
"""


@pytest.mark.parametrize(
    ("denied", "state", "words"),
    [
        ([], "ok", "2 ranges of TCP, 2 ranges of UDP"),
        ([("tcp", 50007)], "warning", "wanted: tcp 50007 (in 50000 to 50059)"),
        ([("tcp", 9), ("udp", 5357)], "warning", "tcp 9 (in none of them), udp 5357 (in 5357 to"),
    ],
)
def test_ports_that_windows_keeps_are_named_if_they_are_wanted(
    denied: list[Port], state: str, words: str
) -> None:
    found = limits_windows.judge_ports(7, denied, lambda _protocol: EXCLUDED)
    assert (found.state, words in found.evidence) == (state, True)
    assert ("samehost ports" in found.remedy) == (state == "warning")


def test_ranges_that_are_not_told_are_no_fault() -> None:
    def fail(_protocol: str) -> str:
        raise OSError("netsh failed: it is not there")

    found = limits_windows.judge_ports(7, [], fail)
    assert (found.state, "netsh failed" in found.evidence) == ("skipped", True)


@pytest.mark.parametrize(
    ("pid", "opened", "words"),
    [(0, None, "Windows sets no limit"), (7, 211, "211 handles open"), (7, None, "no limit")],
)
def test_files_of_windows_are_counted_and_have_no_limit(
    monkeypatch: pytest.MonkeyPatch, pid: int, opened: int | None, words: str
) -> None:
    pretend_process(monkeypatch, opened)
    found = limits_windows.judge_files(pid)
    assert (found.state, words in found.evidence) == ("ok", True)
