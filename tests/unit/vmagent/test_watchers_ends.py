"""How the watcher learns of ends: by eBPF, by events of all destroyed sockets, by the clock."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from link import polling
from link.polling import FAST
from link.sockdiag import ListeningSocket, SockDiagError
from tests.unit.vmagent.watcher_setting import Setting, listening, run_until
from vmagent.watch.watcher import EVENTS_CEILING


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


class Ends:
    """Events of destroyed sockets that break down when they are first read.

    Attributes:
        made: the last one.
        is_wanted: whether the kernel is asked for them.
    """

    made: Ends

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        Ends.made = self
        os.write(self._writer, b"x")
        self.is_wanted = True

    def fileno(self) -> int:
        return self._reader

    def leave_out(self, *_: object) -> None:
        """All the same."""

    def listen(self, *, wanted: bool) -> None:
        self.is_wanted = wanted

    def drain(self) -> bool:
        raise SockDiagError(105, "no buffer space")

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def test_that_events_broke_down_is_described_and_said_without_waiting_for_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "SOON", 3600.0)
    setting = Setting(monkeypatch, Ends)
    setting.scan_every(3600.0)
    assert setting.watcher.description == "sock_diag, destroy events"
    said: list[str] = []
    setting.watcher._on_scan = lambda: said.append(setting.watcher.description)
    run_until(
        setting.watcher, lambda: None, lambda: bool(said) and said[-1].startswith("sock_diag poll")
    )


class QuietEnds(Ends):
    """Such events that do not break down, and tell nothing."""

    def drain(self) -> bool:
        return False


class Followed:
    """A watcher with eBPF, which follows no more than `most` sockets at a time."""

    most = 1

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.setting = Setting(monkeypatch, QuietEnds)
        self.setting.kernel.sockets = [listening(1)]
        self.watcher = self.setting.watcher
        self.cookies: list[int] = []
        monkeypatch.setattr(type(self.watcher._binds), "is_on", True)
        monkeypatch.setattr(self.watcher._binds, "follow", self._follow)

    def _follow(self, sockets: Iterable[ListeningSocket]) -> bool:
        more = [each.cookie for each in sockets]
        self.cookies += more
        return len(more) <= self.most

    def come(self, *cookies: int) -> None:
        """Let UDP servers come, and be seen."""
        self.setting.kernel.sockets += [listening(each, each, "udp") for each in cookies]
        self.watcher.rescan()

    @property
    def are_all_ends_told(self) -> bool:
        """Whether the kernel is asked, and that is what is said."""
        assert ("destroy events" in self.watcher.description) is Ends.made.is_wanted
        return Ends.made.is_wanted


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    followed = Followed(monkeypatch)
    assert followed.are_all_ends_told
    followed.watcher.rescan()
    return followed


def test_where_ebpf_tells_of_ends_the_kernel_is_not_asked_for_those_of_all_connections(
    followed: Followed,
) -> None:
    assert not followed.are_all_ends_told
    assert followed.cookies == [1]


def test_where_not_all_can_be_followed_all_ends_are_told_again(followed: Followed) -> None:
    followed.come(2, 3)
    followed.watcher.rescan()
    assert followed.are_all_ends_told
    assert followed.cookies == [1, 2, 3]


def test_where_ebpf_has_gone_all_ends_are_told_again(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(followed.watcher._binds), "is_on", False)
    followed.watcher.rescan()
    assert followed.are_all_ends_told


def test_programs_attached_anew_follow_what_there_is_whatever_came_of_that_before(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.come(2, 3)
    followed.most = 3
    monkeypatch.setattr(followed.watcher._binds, "heal", lambda _now: True)
    followed.watcher.rescan()
    assert not followed.are_all_ends_told
    assert followed.cookies == [1, 2, 3, 1, 2, 3]


def test_what_was_told_to_end_and_is_there_yet_is_looked_for_until_it_is_gone(
    followed: Followed,
) -> None:
    followed.watcher._on_end({1, 2})
    for _ in range(3):
        followed.watcher.rescan()
        assert followed.watcher._interval.interval < FAST
    followed.setting.kernel.sockets = []
    followed.watcher.rescan()
    assert followed.setting.told.changes[-1] == ([], [1])
    followed.watcher.rescan()
    assert followed.watcher._interval.interval == EVENTS_CEILING
