"""The machine's side of detection: which containers listen where, now and whenever it changes.

Rules: level, not edge. Every scan is a whole dump that is compared with the one before, and only
differences are told. What makes a scan happen (a socket that was bound or destroyed, the clock, an
event of the engine, whoever calls `kick`) does not matter for what it finds. Only containers'
listeners count: neither the machine's own daemons' nor the agent's, and UDP sockets on ports of the
kernel's choice only once they are old enough: before that not even their owner is looked for. A
scan that fails is logged once and tried again at the usual pace.

Tiers, the best that can be had: eBPF events of binds and ends (`binds.py`), events of destroyed
sockets, the clock. The clock stays under each of them, slower where events come. Events of
destroyed sockets are had only where eBPF does not tell of ends: for them the kernel makes a message
of each connection that ends in the machine, in a thread of its own, and then throws it away.

Limits: polling sees a listener that lives for less than an interval only by chance. Runs in the
machine's root network namespace, which is that of the thread that makes it.

At rest a look is a count of the sockets (`link.socket_counts`) and, as one may have come when
another went, a comparison of those that no event tells of; each fifth is a whole scan.

Cost of look-ups in containers: no event wakes, so what an ordinary scan costs and finds open.
10 000 sockets bound and closed within a second took 6 ms of CPU (380 ms if each event woke).

Counterparts: `link.sockdiag` asks the kernel, `link.maturity` judges age, `owners` tells whose,
`vmagent.engine` describes containers, the agent's control session tells the desktop.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

from link.connected_servers import ConnectedServers
from link.listener import Container, Listener
from link.maturity import Maturity
from link.polling import SETTLE, SLOW, AdaptiveInterval
from link.sockdiag import (
    DestroyEvents,
    ListeningSocket,
    SockDiag,
    SockDiagError,
    ephemeral_ports,
    to_listener,
)
from link.sockdiag_wire import PROTOCOLS
from link.socket_counts import SocketCounts
from vmagent.engine import EngineWatcher
from vmagent.engines.follower import UNKNOWN
from vmagent.watch.binds import Binds
from vmagent.watch.owners import Owners

__all__ = ["HOST_NETWORKED_CEILING", "MATURITY_SLACK", "MOST_SKIPPED", "OnChange", "Watcher"]

HOST_NETWORKED_CEILING: Final = 0.14
"""Longest seconds between scans while a container shares the machine's network, or may: it can
begin to listen at any moment, and polling is all that sees that. Its port is to be open within
150 ms."""

EVENTS_CEILING: Final = 0.5
"""The same where every bind on purpose is told."""

MOST_SKIPPED: Final = 4
"""Looks in a row that may be less than a whole scan."""

UNTOLD: Final = ("udp",)
"""Where every bind on purpose is told, what may begin to listen without: on a port of the kernel's
choice."""

MATURITY_SLACK: Final = 0.05
"""Seconds after which a socket that is old enough must have been told: an ordinary scan that is
due within that time serves, otherwise there is one at the moment."""

MOST_LETTERS: Final = 250
"""Of a description; the link takes 256 (link.messages)."""

OnChange = Callable[[Sequence[Listener], Sequence[int]], None]
"""Called with the listeners that appeared or changed, and the ids of those that went."""

_log = logging.getLogger(__name__)


class Watcher:
    """Keeps `listeners`, by id, true. Owned by one task: `run`.

    Args:
        on_change: told of each difference after `listeners` has it; must not raise.
        own_inodes: the agent's own sockets, asked for on every scan.
        engine: asked for names, images and labels; the caller runs it, with this watcher's `kick`
            as its call-back.
        may_use_ebpf: False to do without, where it could be had.
        on_others: told once of each socket that turned out to be the machine's own; must not raise.
        on_scan: called after each scan, when `description` is that of now; must not raise.

    Construction raises OSError where the kernel has no sock_diag.
    """

    def __init__(
        self,
        *,
        on_change: OnChange,
        own_inodes: Callable[[], frozenset[int]],
        engine: EngineWatcher | None,
        may_use_ebpf: bool = True,
        on_others: Callable[[Sequence[ListeningSocket]], None] = lambda _others: None,
        on_scan: Callable[[], None] = lambda: None,
    ) -> None:
        self.listeners: dict[int, Listener] = {}
        self._on_change = on_change
        self._on_others = on_others
        self._own_inodes = own_inodes
        self._engine = engine
        self._on_scan = on_scan
        self._diag = SockDiag()
        self._may_use_ebpf = may_use_ebpf
        self._binds = Binds(self._on_begin, self._on_end, self._cgroup_of_binds)
        self._events = _subscribe()
        self._are_all_told = True
        self._ends_are_told = True
        self._are_followed = False
        self._ending: set[int] = set()
        self._maturity = Maturity()
        self._connected = ConnectedServers()
        self._matures_at: float | None = None
        self._owners = Owners()
        self._machines_own: set[int] = set()
        self._records: dict[int, ListeningSocket] = {}
        self._containers: WeakValueDictionary[tuple[str, str], Container] = WeakValueDictionary()
        self._interval = AdaptiveInterval(time.monotonic())
        self._counts = SocketCounts()
        self._counted: tuple[bytes, ...] | None = None
        self._skipped = 0
        self._running: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failure = ""

    @property
    def description(self) -> str:
        """How listeners are found, in words for a person, and what went wrong with that."""
        notes = (self._owners.hindrance, self._binds.mishaps)
        troubles = "".join(f"; {each}" for each in notes if each)
        return self._ways[: MOST_LETTERS - len(troubles)] + troubles

    @property
    def events_lost(self) -> int:
        """Events of binds that found no room so far."""
        return self._binds.lost

    @property
    def healed(self) -> int:
        """How often eBPF programs that somebody detached were attached anew."""
        return self._binds.healed

    @property
    def _ways(self) -> str:
        has_events = self._events is not None and self._are_all_told
        dump = "sock_diag" if has_events or self._binds.is_on else "sock_diag polling"
        dump += ", destroy events" if has_events else ""
        seen = dump if self._diag.sees_udp else f"{dump}, TCP only"
        if self._binds.is_on:
            return f"{self._binds.description}, {seen}"
        why_not = f" ({self._binds.description})" if self._binds.description else ""
        return seen + why_not

    def kick(self, after: float = 0.0) -> None:
        """Scan soon, or in so many seconds: something may have changed. Cheap; may be called before
        `run`."""
        self._interval.kick(time.monotonic(), after)
        self._arm()

    async def run(self) -> None:
        """Scan for ever. Ends by cancellation only, and frees what the watcher holds."""
        loop = asyncio.get_running_loop()
        self._running = loop.create_future()
        if self._events:
            loop.add_reader(self._events.fileno(), self._on_destroyed)
        self._binds.start()
        self.kick()
        try:
            await self._running
        finally:
            self._running = None
            if self._timer is not None:
                self._timer.cancel()
            self._binds.stop()
            self._unsubscribe(loop)
            self._diag.close()
            self._counts.close()

    def rescan(self) -> None:
        """Scan now. Never raises; a failure is logged and changes nothing."""
        started = time.thread_time()
        self._skipped = 0
        self._counted = self._counts.read()
        if self._binds.heal(time.monotonic()):
            self._are_followed, self._ends_are_told = False, True  # by programs that know of none
            self.kick()
        changed = False
        try:
            changed = self._scan()
            self._matures_at = self._maturity.due
            self._failure = ""
        except OSError as error:
            if str(error) != self._failure:
                self._failure = str(error)
                _log.warning("listeners cannot be read, trying again: %s", error)
        # What was on its way out and is there yet is looked for at a quicker pace.
        self._ending &= self._records.keys()
        self._interval.rely_on_kicks(rely=self._binds.is_on and not self._ending)
        cost = time.thread_time() - started
        self._interval.scanned(time.monotonic(), cost=cost, changed=changed)
        self._interval.ceiling = self._ceiling()
        self._on_scan()

    def _ceiling(self) -> float:
        if self._is_quiet():
            return SLOW
        return EVENTS_CEILING if self._binds.is_on else HOST_NETWORKED_CEILING

    def _is_quiet(self) -> bool:
        """True if no container can begin to listen unless an event comes first."""
        engine = self._engine
        return not self.listeners and engine is not None and engine.has_host_networked is False

    def _arm(self) -> None:
        """Have the next scan begin when it is due; a timer costs less than a task that waits."""
        if self._running is None:
            return
        loop = self._running.get_loop()
        now = time.monotonic()
        at = loop.time() + max(0.0, self._due(now) - now)
        if self._timer is not None:
            if self._timer.when() <= at:
                return  # it finds out that it came too early
            self._timer.cancel()
        self._timer = loop.call_at(at, self._tick)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = time.monotonic()
        if self._running is None or self._running.done():
            return
        if self._due(now) <= now and not self._is_at_rest():
            try:
                self.rescan()
            except BaseException as error:
                self._running.set_exception(error)  # whoever runs the watcher must know
                raise
        self._arm()

    def _is_at_rest(self) -> bool:
        """True if the clock alone asks for this look, and nothing is seen that calls for a scan.

        That is so for MOST_SKIPPED looks in a row at most.
        """
        if self._skipped >= MOST_SKIPPED or self._interval.is_called_for or self._owners.has_tries:
            return False
        started = time.thread_time()
        if (
            self._counted is None
            or self._counts.read() != self._counted
            or not self._is_as_before()
        ):
            return False
        self._skipped += 1
        cost = time.thread_time() - started
        self._interval.scanned(time.monotonic(), cost=cost, changed=False)
        return True

    def _is_as_before(self) -> bool:
        try:
            return self._diag.is_as_before(UNTOLD if self._binds.is_on else PROTOCOLS)
        except SockDiagError:
            return False  # the scan that follows says so

    def _due(self, now: float) -> float:
        """When to scan next. A socket that is old enough is one more reason, told once."""
        due = self._interval.next_due(now)
        if self._matures_at is None or due <= self._matures_at + MATURITY_SLACK:
            return due
        if now < self._matures_at:
            return self._matures_at
        self._matures_at = None
        self._interval.kick(now)
        return self._interval.next_due(now)

    def _mature(self) -> dict[int, ListeningSocket]:
        """All sockets that count as listeners now, but the agent's, by cookie. Raises OSError."""
        own = self._own_inodes()
        sockets = [each for each in self._diag.listeners() if each.inode not in own]
        ephemeral = ephemeral_ports()
        mature = self._maturity.sift(sockets, ephemeral, time.monotonic())
        if self._events:
            self._events.leave_out(ephemeral, self._maturity.ports)
        present = {each.cookie: each for each in mature}
        missing = (each for cookie, each in self._records.items() if cookie not in present)
        present.update((each.cookie, each) for each in self._connected.among(missing))
        return present

    def _scan(self) -> bool:
        present = self._mature()
        self._choose_events(present.values())
        # The last step that may fail, before anything is changed.
        identified = self._identify(present)
        removed = [cookie for cookie, each in self._records.items() if present.get(cookie) != each]
        for cookie in removed:
            del self.listeners[cookie], self._records[cookie]
        self._records.update((each.id, present[each.id]) for each in identified)
        self.listeners.update((each.id, each) for each in identified)
        again = self._described_anew()
        self.listeners.update((each.id, each) for each in again)
        added = identified if not again else self._once(identified + again)
        gone = [cookie for cookie in removed if cookie not in self.listeners]
        if added or gone:
            self._on_change(added, gone)
        return bool(added or gone)

    def _identify(self, present: dict[int, ListeningSocket]) -> list[Listener]:
        """Listeners of containers among the sockets not yet decided on. Raises OSError."""
        undecided = [
            each
            for cookie, each in present.items()
            if cookie not in self._machines_own and self._records.get(cookie) != each
        ]
        # eBPF tells the end of all others whose beginning it has told.
        self._follow(each for each in undecided if each.protocol == "udp")
        owners = self._owners.find(undecided)
        self._owners.forget_others(owners)
        self._machines_own.intersection_update(present)
        identified, others = [], []
        for each in undecided:
            container, process, final = owners[each.cookie]
            if container is not None:
                identified.append(to_listener(each, self._known(container), process))
            elif final:
                others.append(each)
        self._machines_own.update(each.cookie for each in others)
        if others:
            self._on_others(others)
        return identified

    def _known(self, container: Container) -> Container:
        """The object that stands for this container, the same for all its listeners."""
        known = self._containers.get(container.key)
        if known is None:
            self._containers[container.key] = known = self._described(container)
        return known

    def _described(self, container: Container) -> Container:
        """With what the engine says now; the same object if that is nothing new."""
        told = self._engine.details_of(container.id) if self._engine else UNKNOWN
        if told is UNKNOWN or told == (container.name, container.image, container.labels):
            return container
        name, image = told.name or container.name, told.image or container.image
        now = replace(container, name=name, image=image, labels=told.labels)
        return container if now == container else now

    def _described_anew(self) -> list[Listener]:
        """Listeners of containers of which the engine says something new, with that."""
        now = {key: self._described(each) for key, each in self._containers.items()}
        news = {key for key, each in now.items() if each is not self._containers.get(key)}
        if not news:
            return []
        self._containers.update(now)
        return [
            replace(each, container=now[each.container.key])
            for each in self.listeners.values()
            if each.container is not None and each.container.key in news
        ]

    def _once(self, listeners: Iterable[Listener]) -> list[Listener]:
        """Each of these as it is now."""
        return [self.listeners[each] for each in dict.fromkeys(one.id for one in listeners)]

    def _cgroup_of_binds(self) -> str | None:
        if not self._may_use_ebpf:
            raise OSError(errno.EPERM, "off by the settings")
        return self._owners.cgroup_mount

    def _on_begin(self, udp_cookies: list[int]) -> None:
        """Look at once: what a server says next may be where it listens now."""
        self._maturity.trust(udp_cookies)
        self._interval.kick(time.monotonic())
        self._tick()

    def _on_end(self, cookies: set[int]) -> None:
        """Look soon. They are told from within the close, which another core may have overtaken."""
        self._ending |= cookies
        self.kick(SETTLE)

    def _choose_events(self, present: Iterable[ListeningSocket]) -> None:
        """Be told of all destroyed sockets if eBPF does not tell of the ends of those `present`."""
        if self._binds.is_on and not self._are_followed:
            self._are_followed = True
            self._follow(present)
        are_wanted = not (self._binds.is_on and self._ends_are_told)
        if self._events is not None and are_wanted is not self._are_all_told:
            self._events.listen(wanted=are_wanted)
            self._are_all_told = are_wanted

    def _follow(self, sockets: Iterable[ListeningSocket]) -> None:
        if self._binds.is_on and self._ends_are_told:
            self._ends_are_told = self._binds.follow(sockets)

    def _on_destroyed(self) -> None:
        try:
            if self._events is not None and self._events.drain():
                self.kick(SETTLE)
        except SockDiagError as error:
            _log.warning("no more events of closed listeners, polling only: %s", error)
            self._unsubscribe(asyncio.get_running_loop())
            self.kick()

    def _unsubscribe(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._events:
            loop.remove_reader(self._events.fileno())
            self._events.close()
            self._events = None


def _subscribe() -> DestroyEvents | None:
    try:
        return DestroyEvents()
    except SockDiagError as error:
        _log.info("no events of closed listeners, polling only: %s", error)
        return None
