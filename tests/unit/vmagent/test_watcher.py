"""The watcher's differences, with a kernel and an engine that say what the test wants."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from link import polling
from link.listener import Container, Listener
from link.maturity import MATURITY_SECONDS
from link.polling import FAST, SOON
from link.sockdiag import SockDiagError
from tests.unit.vmagent.watcher_setting import (
    ID,
    MACHINE,
    UNDECIDED,
    WEB,
    Clock,
    Setting,
    listening,
    run_until,
    young,
)
from vmagent.watch import watcher as watcher_module
from vmagent.watch.watcher import MOST_SKIPPED, Watcher


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watcher_module, "time", clock)
    return clock


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(monkeypatch)


def test_the_first_scan_tells_all_and_the_next_nothing(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1), listening(2, 9000)]
    setting.watcher.rescan()
    assert setting.told.take() == ([1, 2], [])
    assert setting.watcher.listeners[2] == Listener(
        id=2,
        protocol="tcp",
        address="127.0.0.1",
        port=9000,
        inode=102,
        container=Container(ID, "", "docker"),
        process="web",
        pid=7,
    )
    setting.watcher.rescan()
    assert setting.told.changes == []


def test_only_differences_are_told(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1), listening(2)]
    setting.watcher.rescan()
    setting.told.take()
    setting.kernel.sockets = [listening(2), listening(3)]
    setting.watcher.rescan()
    assert setting.told.take() == ([3], [1])
    assert list(setting.watcher.listeners) == [2, 3]


def test_the_machines_own_sockets_are_not_told_and_asked_for_once(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.kernel.owners = {1: MACHINE}
    setting.watcher.rescan()
    setting.watcher.rescan()
    assert setting.told.changes == []
    assert setting.kernel.asked == [1]


def test_an_undecided_socket_is_asked_for_again(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.kernel.owners = {1: UNDECIDED}
    setting.watcher.rescan()
    setting.kernel.owners = {1: WEB}
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    assert setting.kernel.asked == [1, 1]


def test_the_agents_own_sockets_are_not_told(setting: Setting) -> None:
    setting.own = frozenset({listening(1).inode})
    setting.kernel.sockets = [listening(1), listening(2)]
    setting.watcher.rescan()
    assert setting.told.take() == ([2], [])


def test_a_socket_that_listens_elsewhere_now_is_told_as_changed(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1, 8000)]
    setting.watcher.rescan()
    setting.told.take()
    setting.kernel.sockets = [listening(1, 8001)]
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    assert setting.watcher.listeners[1].port == 8001


def test_a_failed_scan_changes_nothing_and_is_logged_once(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.kernel.failure = SockDiagError(16, "busy")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            setting.watcher.rescan()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "busy" in caplog.text
    assert list(setting.watcher.listeners) == [1]
    assert setting.told.changes == []


def test_what_a_failed_scan_missed_is_told_by_the_next(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.kernel.sockets = [listening(2)]
    setting.kernel.owners_failure = OSError("no /proc")
    setting.watcher.rescan()
    assert list(setting.watcher.listeners) == [1]
    setting.kernel.owners_failure = None
    setting.watcher.rescan()
    assert setting.told.take() == ([2], [1])


def test_the_tier_in_use_is_described(setting: Setting) -> None:
    assert setting.watcher.description == "sock_diag polling"


def test_a_kernel_that_does_not_tell_of_udp_is_described(setting: Setting) -> None:
    setting.kernel.sees_udp = False
    assert setting.watcher.description == "sock_diag polling, TCP only"


def test_what_cannot_be_told_from_here_is_described(setting: Setting) -> None:
    setting.kernel.hindrance = "nothing is told"
    assert setting.watcher.description == "sock_diag polling; nothing is told"


def test_mishaps_are_described_and_a_long_reason_does_not_hide_them(setting: Setting) -> None:
    binds = setting.watcher._binds
    binds.reason = "x" * 1000
    binds.healed, binds.lost = 2, 10**12
    description = setting.watcher.description
    assert description.startswith("sock_diag polling (no eBPF: xxx")
    assert description.endswith("x; detached 2 times, 1000000000000 events lost and made up for")
    assert len(description) == watcher_module.MOST_LETTERS


def test_each_scan_is_said_also_one_that_fails_and_after_what_it_found(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    assert setting.scans == [[1]]
    setting.kernel.failure = SockDiagError(16, "busy")
    setting.watcher.rescan()
    assert setting.scans == [[1], [1]]


def test_a_udp_server_is_told_at_once_beside_a_tcp_one(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1, 53, "udp"), listening(2, 53)]
    setting.watcher.rescan()
    assert setting.told.take() == ([1, 2], [])
    protocols = [each.protocol for each in setting.watcher.listeners.values()]
    assert protocols == ["udp", "tcp"]


# The clock first: the watcher's own times begin with it.


def test_a_socket_on_a_port_of_the_kernels_choice_is_told_after_a_second(
    clock: Clock, setting: Setting
) -> None:
    setting.kernel.sockets = [young(1)]
    for _ in range(10):
        setting.watcher.rescan()
        assert setting.told.changes == []
        clock.now += 0.1
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    clock.now += 5
    setting.watcher.rescan()
    assert setting.told.changes == []


def test_look_ups_are_never_told_and_nobody_asks_whose_they_are(
    clock: Clock, setting: Setting
) -> None:
    for number in range(1000):
        setting.kernel.sockets = [young(number, 40000 + number), listening(5000)]
        setting.watcher.rescan()
        clock.now += 0.1
    assert setting.told.take() == ([5000], [])
    assert setting.kernel.asked == [5000]


def test_a_udp_listener_that_connects_is_gone_and_one_that_returns_is_told_in_time(
    clock: Clock, setting: Setting
) -> None:
    setting.kernel.sockets = [young(1), listening(2, 5000, "udp")]
    setting.watcher.rescan()
    clock.now += 1
    setting.watcher.rescan()
    setting.told.changes.clear()
    setting.kernel.sockets = []
    setting.watcher.rescan()
    assert setting.told.take() == ([], [2, 1])
    setting.kernel.sockets = [young(1), listening(2, 5000, "udp")]
    setting.watcher.rescan()
    assert setting.told.take() == ([2], [])
    clock.now += 1
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])


def test_a_scan_is_due_when_a_socket_is_old_enough(clock: Clock, setting: Setting) -> None:
    setting.scan_every(3600.0)
    setting.kernel.sockets = [young(1)]
    setting.watcher.rescan()
    first_seen = clock.now
    clock.now += 0.5
    assert setting.watcher._due(clock.now) == first_seen + 1
    clock.now = first_seen + 1
    assert setting.watcher._due(clock.now) <= clock.now
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    assert setting.watcher._due(clock.now) == pytest.approx(clock.now + SOON)


@pytest.mark.parametrize(("ordinary", "due"), [(0.9, 0.9), (1.04, 1.04), (1.2, 1.0)])
def test_an_ordinary_scan_shortly_after_that_moment_serves(
    clock: Clock, setting: Setting, ordinary: float, due: float
) -> None:
    setting.scan_every(ordinary)
    setting.kernel.sockets = [young(1)]
    setting.watcher.rescan()
    assert setting.watcher._due(clock.now) == pytest.approx(clock.now + due)


def test_a_scan_that_fails_at_that_moment_is_not_tried_again_at_once(
    clock: Clock, setting: Setting
) -> None:
    setting.scan_every(3600.0)
    setting.kernel.sockets = [young(1)]
    setting.watcher.rescan()
    clock.now += 1
    assert setting.watcher._due(clock.now) <= clock.now
    setting.kernel.failure = SockDiagError(16, "busy")
    setting.watcher.rescan()
    assert setting.watcher._due(clock.now) == pytest.approx(clock.now + SOON)


@pytest.mark.parametrize(
    ("answer", "listens", "ceiling"),
    [(None, False, 0.14), (True, False, 0.14), (False, False, 1.0), (False, True, 0.14)],
)
def test_it_rests_only_where_no_container_can_begin_to_listen(
    setting: Setting, answer: bool | None, listens: bool, ceiling: float
) -> None:
    setting.engine.answer = answer
    setting.kernel.sockets = [listening(1)] if listens else []
    setting.watcher.rescan()
    assert setting.watcher._interval.ceiling == ceiling


class Counts:
    """What `SocketCounts` would read."""

    now: tuple[bytes, ...] | None = (b"1",)

    def read(self) -> tuple[bytes, ...] | None:
        return self.now

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def resting(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> tuple[Watcher, Counts]:
    """A watcher that has looked, and that only the clock asks to look again."""
    counts = Counts()
    setting.scan_every(FAST)
    monkeypatch.setattr(setting.watcher, "_counts", counts)
    setting.watcher.rescan()
    return setting.watcher, counts


def test_at_rest_a_look_compares_and_each_fifth_is_a_scan(resting: tuple[Watcher, Counts]) -> None:
    watcher, _ = resting
    for _ in range(2):
        watcher.rescan()
        looks = [watcher._is_at_rest() for _ in range(MOST_SKIPPED + 1)]
        assert looks == [True] * MOST_SKIPPED + [False]


@pytest.mark.parametrize("counted", [(b"2",), None])
def test_a_count_that_is_another_or_cannot_be_had_is_no_answer(
    resting: tuple[Watcher, Counts], counted: tuple[bytes, ...] | None
) -> None:
    watcher, counts = resting
    assert watcher._is_at_rest()
    counts.now = counted
    assert not watcher._is_at_rest()
    watcher.rescan()
    assert watcher._is_at_rest() is (counted is not None)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_socket_that_came_as_another_went_is_seen_by_the_next_look(
    resting: tuple[Watcher, Counts], setting: Setting, protocol: str
) -> None:
    watcher, _ = resting
    assert watcher._is_at_rest()
    setting.kernel.sockets = [listening(2, 40000, protocol)]
    assert not watcher._is_at_rest()


def test_a_look_that_fails_is_no_answer(resting: tuple[Watcher, Counts], setting: Setting) -> None:
    watcher, _ = resting
    setting.kernel.failure = SockDiagError(16, "busy")
    assert not watcher._is_at_rest()


@pytest.mark.parametrize(("is_told", "compared"), [(True, ("udp",)), (False, ("tcp", "udp"))])
def test_what_events_tell_of_is_not_compared_at_rest(
    resting: tuple[Watcher, Counts],
    setting: Setting,
    monkeypatch: pytest.MonkeyPatch,
    is_told: bool,
    compared: tuple[str, ...],
) -> None:
    watcher, _ = resting
    monkeypatch.setattr(type(watcher._binds), "is_on", is_told)
    assert watcher._is_at_rest()
    assert setting.kernel.compared == [compared]


def test_whoever_asks_for_a_look_gets_a_dump(resting: tuple[Watcher, Counts]) -> None:
    watcher, _ = resting
    watcher.kick()
    assert not watcher._is_at_rest()


def test_while_more_may_be_learned_of_a_socket_each_look_is_a_dump(
    resting: tuple[Watcher, Counts], setting: Setting
) -> None:
    watcher, _ = resting
    setting.kernel.has_tries = True
    assert not watcher._is_at_rest()


def test_a_fault_of_the_watchers_own_ends_its_run(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(setting.watcher, "_ceiling", fail)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        asyncio.run(asyncio.wait_for(setting.watcher.run(), 10))


def test_running_it_survives_failures_and_frees_all_at_the_end(setting: Setting) -> None:
    setting.kernel.failure = SockDiagError(16, "busy")

    def heal() -> None:
        setting.kernel.failure = None
        setting.kernel.sockets = [listening(1)]

    run_until(setting.watcher, heal, lambda: 1 in setting.watcher.listeners)
    assert setting.kernel.closed


def test_running_it_tells_a_socket_when_it_is_old_enough_not_by_the_clock(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "SOON", 3600.0)
    setting.scan_every(3600.0)
    setting.kernel.sockets = [young(1)]
    begin = time.monotonic()
    setting.watcher.rescan()
    run_until(setting.watcher, lambda: None, lambda: 1 in setting.watcher.listeners)
    assert time.monotonic() - begin >= MATURITY_SECONDS
    assert setting.kernel.dumps == 3  # the first by hand, one when running begins


def test_a_kick_does_not_wait_for_the_clock(setting: Setting) -> None:
    setting.scan_every(3600.0)
    setting.watcher.kick()
    setting.watcher.rescan()

    def appear() -> None:
        setting.kernel.sockets = [listening(1)]
        setting.watcher.kick()

    run_until(setting.watcher, appear, lambda: 1 in setting.watcher.listeners)


# The clock first, as above.
def test_what_begins_to_listen_is_told_before_anything_else_is_done(
    clock: Clock, setting: Setting
) -> None:
    async def story() -> None:
        running = asyncio.create_task(setting.watcher.run())
        while not setting.scans:  # noqa: ASYNC110 - the first scan announces nothing else
            await asyncio.sleep(0)
        setting.kernel.sockets = [listening(1)]
        clock.now += SOON
        setting.watcher._on_begin([])
        assert setting.told.take() == ([1], [])
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(story())
