"""The watcher's differences, with a kernel and an engine that say what the test wants."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from link import polling
from link.listener import Container, Listener
from link.maturity import MATURITY_SECONDS
from link.polling import SOON, AdaptiveInterval
from link.processes import Process
from link.sockdiag import ListeningSocket, SockDiagError
from vmagent.engine import EngineWatcher
from vmagent.watch import watcher as watcher_module
from vmagent.watch.owners import Owner
from vmagent.watch.watcher import Watcher

ID = "ab" * 32
WEB = Owner(Container(ID, "", "docker"), Process(7, "web"), True)
MACHINE = Owner(None, None, True)
UNDECIDED = Owner(None, None, False)


EPHEMERAL = range(32768, 61000)


def listening(cookie: int, port: int = 8000, protocol: str = "tcp") -> ListeningSocket:
    return ListeningSocket(
        protocol, socket.AF_INET, b"\x7f\0\0\1", port, 0, cookie, 0, cookie + 100, False, 1
    )


def young(cookie: int, port: int = 40000) -> ListeningSocket:
    """A UDP socket on a port that the kernel may have chosen."""
    return listening(cookie, port, "udp")


@dataclass
class Kernel:
    """Stands for SockDiag and Owners; `failure` is raised by the next dumps."""

    sockets: list[ListeningSocket] = field(default_factory=list)
    owners: dict[int, Owner] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    failure: OSError | None = None
    owners_failure: OSError | None = None
    closed: bool = False
    sees_udp: bool = True
    dumps: int = 0

    def listeners(self) -> list[ListeningSocket]:
        self.dumps += 1
        if self.failure:
            raise self.failure
        return list(self.sockets)

    def find(self, sockets: Sequence[ListeningSocket]) -> dict[int, Owner]:
        if self.owners_failure:
            raise self.owners_failure
        self.asked += [each.cookie for each in sockets]
        return {each.cookie: self.owners.get(each.cookie, WEB) for each in sockets}

    def forget_others(self, cookies: Sequence[int]) -> None:
        """Nothing is kept."""

    @property
    def cgroup_mount(self) -> str:
        return "/no/cgroups/here"

    def close(self) -> None:
        self.closed = True


class Names(EngineWatcher):
    """An engine whose answers a test sets."""

    def __init__(self) -> None:
        super().__init__([], lambda: None)
        self.names: dict[str, str] = {}
        self.answer: bool | None = None

    def name_of(self, container_id: str) -> str:
        return self.names.get(container_id, "")

    @property
    def has_host_networked(self) -> bool | None:
        return self.answer


@dataclass
class Told:
    """What the call-back was told, in order."""

    changes: list[tuple[list[Listener], list[int]]] = field(default_factory=list)

    def __call__(self, added: Sequence[Listener], removed: Sequence[int]) -> None:
        self.changes.append((list(added), list(removed)))

    def take(self) -> tuple[list[int], list[int]]:
        """Ids added and removed by the one change since the last time."""
        ((added, removed),) = self.changes
        self.changes.clear()
        return [each.id for each in added], removed


class Setting:
    """A watcher and all it depends on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = Kernel()
        self.engine = Names()
        self.told = Told()
        self.own: frozenset[int] = frozenset()

        def no_events() -> None:
            raise SockDiagError(1, "not permitted")

        monkeypatch.setattr(watcher_module, "SockDiag", lambda: self.kernel)
        monkeypatch.setattr(watcher_module, "Owners", lambda: self.kernel)
        monkeypatch.setattr(watcher_module, "DestroyEvents", no_events)
        monkeypatch.setattr(watcher_module, "ephemeral_ports", lambda: EPHEMERAL)
        self.watcher = Watcher(on_change=self.told, own_inodes=lambda: self.own, engine=self.engine)

    def scan_every(self, seconds: float) -> None:
        """Let the clock alone ask for a scan this often."""
        start = self.watcher._interval._last_news
        self.watcher._interval = AdaptiveInterval(start, fast=seconds, slow=seconds)


class Clock:
    """Stands for the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return 0.0


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


def test_a_name_learned_later_tells_the_listener_again(setting: Setting) -> None:
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.names[ID] = "web"
    setting.watcher.rescan()
    assert setting.told.take() == ([1], [])
    container = setting.watcher.listeners[1].container
    assert container is not None
    assert container.name == "web"


def test_a_name_is_kept_when_the_engine_goes(setting: Setting) -> None:
    setting.engine.names[ID] = "web"
    setting.kernel.sockets = [listening(1)]
    setting.watcher.rescan()
    setting.told.take()
    setting.engine.names.clear()
    setting.watcher.rescan()
    assert setting.told.changes == []


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
    [(None, False, 0.2), (True, False, 0.2), (False, False, 1.0), (False, True, 0.2)],
)
def test_it_rests_only_where_no_container_can_begin_to_listen(
    setting: Setting, answer: bool | None, listens: bool, ceiling: float
) -> None:
    setting.engine.answer = answer
    setting.kernel.sockets = [listening(1)] if listens else []
    setting.watcher.rescan()
    assert setting.watcher._interval.ceiling == ceiling


def run_until(watcher: Watcher, prepare: Callable[[], None], condition: Callable[[], bool]) -> None:
    """Run the watcher; do `prepare` once it runs; cancel it when the condition holds."""

    async def main() -> None:
        task = asyncio.create_task(watcher.run())
        await asyncio.sleep(0)
        prepare()
        deadline = asyncio.get_running_loop().time() + 10
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "it did not happen"
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(main())


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
