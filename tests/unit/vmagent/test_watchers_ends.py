"""How the watcher learns of ends: by eBPF, by events of all destroyed sockets, by the clock."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from link import polling
from link.polling import FAST
from link.sockdiag import ListeningSocket, SockDiagError
from tests.unit.vmagent.watcher_setting import Setting, listening, run_until
from vmagent.watch.watcher import EVENTS_CEILING, Watcher


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


class Ends:
    """Events of destroyed sockets that break down when they are first read."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
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


class Followed:
    """What `Binds` follows, of which it takes no more than `most` at a time."""

    def __init__(self, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cookies: list[int] = []
        self.most = 1
        monkeypatch.setattr(type(watcher._binds), "is_on", True)
        monkeypatch.setattr(watcher._binds, "follow", self._follow)

    def _follow(self, sockets: Iterable[ListeningSocket]) -> bool:
        more = [each.cookie for each in sockets]
        self.cookies += more
        return len(more) <= self.most


class QuietEnds(Ends):
    """Such events that do not break down, and tell nothing."""

    def drain(self) -> bool:
        return False


def test_where_ebpf_tells_of_ends_the_kernel_is_not_asked_for_those_of_all_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(monkeypatch, QuietEnds)
    followed = Followed(setting.watcher, monkeypatch)
    setting.kernel.sockets = [listening(1)]
    said: list[str] = []
    setting.watcher._on_scan = lambda: said.append(setting.watcher.description)
    run_until(setting.watcher, lambda: None, lambda: bool(said))
    assert "destroy events" not in said[0]
    assert followed.cookies == [1]


def test_where_not_all_can_be_followed_all_ends_are_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(monkeypatch, QuietEnds)
    followed = Followed(setting.watcher, monkeypatch)
    setting.kernel.sockets = [listening(1)]

    def are_all_told() -> bool:
        if setting.scans == [[1]] and "destroy events" not in setting.watcher.description:
            setting.kernel.sockets += [listening(each, each, "udp") for each in (2, 3)]
            setting.watcher.kick()
        return len(setting.kernel.sockets) == 3 and "destroy events" in setting.watcher.description

    run_until(setting.watcher, lambda: None, are_all_told)
    assert followed.cookies == [1, 2, 3]


def test_programs_attached_anew_follow_what_there_is(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    followed = Followed(setting.watcher, monkeypatch)
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.watcher.rescan()
    assert followed.cookies == [1]
    monkeypatch.setattr(setting.watcher._binds, "heal", lambda _now: True)
    setting.watcher.rescan()
    assert followed.cookies == [1, 1]


def test_what_was_told_to_end_and_is_there_yet_is_looked_for_until_it_is_gone(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    Followed(setting.watcher, monkeypatch)
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.watcher._on_end({1, 2})
    for _ in range(3):
        setting.watcher.rescan()
        assert setting.watcher._interval.interval < FAST
    setting.kernel.sockets = []
    setting.watcher.rescan()
    assert setting.told.changes[-1] == ([], [1])
    setting.watcher.rescan()
    assert setting.watcher._interval.interval == EVENTS_CEILING
