"""A watcher between a kernel and an engine that say what the test wants.

Counterparts: `test_watcher.py`, `test_watcher_containers.py`, `test_watchers_ends.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from link.listener import Container, Listener
from link.polling import AdaptiveInterval
from link.processes import Process
from link.sockdiag import ListeningSocket, SockDiagError
from vmagent.engine import EngineWatcher
from vmagent.engines.follower import UNKNOWN, Details
from vmagent.watch import watcher as watcher_module
from vmagent.watch.owners import Owner
from vmagent.watch.watcher import Watcher

__all__ = [
    "ID",
    "LABELS",
    "MACHINE",
    "OTHER",
    "UNDECIDED",
    "WEB",
    "Clock",
    "Kernel",
    "Setting",
    "Told",
    "listening",
    "run_until",
    "young",
]

ID = "ab" * 32
WEB = Owner(Container(ID, "", "docker"), Process(7, "web"), True)
OTHER = Owner(Container("cd" * 32, "", "docker"), Process(8, "db"), True)
LABELS = (("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"))
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
    compared: list[Sequence[str]] = field(default_factory=list)
    last: list[ListeningSocket] = field(default_factory=list)
    hindrance: str = ""
    has_tries: bool = False

    def listeners(self) -> list[ListeningSocket]:
        self.dumps += 1
        if self.failure:
            raise self.failure
        self.last = list(self.sockets)
        return self.last

    def is_as_before(self, protocols: Sequence[str] = ("tcp", "udp")) -> bool:
        self.compared.append(protocols)
        if self.failure:
            raise self.failure
        now, before = (
            [each for each in sockets if each.protocol in protocols]
            for sockets in (self.sockets, self.last)
        )
        return now == before

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


class Engine(EngineWatcher):
    """An engine whose answers a test sets."""

    def __init__(self) -> None:
        super().__init__([], lambda: None)
        self.details: dict[str, Details] = {}
        self.answer: bool | None = None

    def details_of(self, container_id: str) -> Details:
        return self.details.get(container_id, UNKNOWN)

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

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, ends: Callable[[], object] | None = None
    ) -> None:
        self.kernel = Kernel()
        self.scans: list[list[int]] = []
        self.engine = Engine()
        self.told = Told()
        self.own: frozenset[int] = frozenset()

        def no_events() -> None:
            raise SockDiagError(1, "not permitted")

        monkeypatch.setattr(watcher_module, "SockDiag", lambda: self.kernel)
        monkeypatch.setattr(watcher_module, "Owners", lambda: self.kernel)
        monkeypatch.setattr(watcher_module, "DestroyEvents", ends or no_events)
        monkeypatch.setattr(watcher_module, "ephemeral_ports", lambda: EPHEMERAL)
        self.watcher = Watcher(
            on_change=self.told,
            own_inodes=lambda: self.own,
            engine=self.engine,
            on_scan=lambda: self.scans.append(sorted(self.watcher.listeners)),
        )

    def container_of(self, cookie: int) -> Container:
        container = self.watcher.listeners[cookie].container
        assert container is not None
        return container

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
