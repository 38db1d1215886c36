"""The machine's side of detection: which containers listen where, now and whenever it changes.

Rules: level, not edge. Every scan is a whole dump that is compared with the one before, and only
differences are told. What makes a scan happen (a socket that was bound or destroyed, the clock, an
event of the engine, whoever calls `kick`) does not matter for what it finds. Only containers'
listeners count: neither the machine's own daemons' nor the agent's, and UDP sockets on ports of the
kernel's choice only once they are old enough: before that not even their owner is looked for. A
scan that fails is logged once and tried again at the usual pace.

Tiers, the best that can be had: eBPF events of binds (`binds.py`), events of destroyed sockets,
the clock. The clock stays under each of them, slower where events come.

Limits: polling sees a listener that lives for less than an interval only by chance. Runs in the
machine's root network namespace, which is that of the thread that makes it.

Cost of look-ups in containers: no event wakes, so what an ordinary scan costs and finds open.
10 000 sockets bound and closed within a second took 6 ms of CPU (380 ms if each event woke).

Counterparts: `link.sockdiag` asks the kernel, `link.maturity` judges age, `owners` tells whose,
`vmagent.engine` names, the agent's control session tells the desktop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from link.connected_servers import ConnectedServers
from link.listener import Listener
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
from vmagent.engine import EngineWatcher
from vmagent.watch.binds import Binds
from vmagent.watch.owners import Owners

__all__ = ["HOST_NETWORKED_CEILING", "MATURITY_SLACK", "OnChange", "Watcher"]

HOST_NETWORKED_CEILING: Final = 0.2
"""Longest seconds between scans while a container shares the machine's network, or may: it can
begin to listen at any moment, and polling is all that sees that."""

EVENTS_CEILING: Final = 0.5
"""The same where every bind on purpose is told."""

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
        engine: asked for names; the caller runs it, with this watcher's `kick` as its call-back.

    Construction raises OSError where the kernel has no sock_diag.
    """

    def __init__(
        self,
        *,
        on_change: OnChange,
        own_inodes: Callable[[], frozenset[int]],
        engine: EngineWatcher | None,
    ) -> None:
        self.listeners: dict[int, Listener] = {}
        self._on_change = on_change
        self._own_inodes = own_inodes
        self._engine = engine
        self._diag = SockDiag()
        self._binds = Binds(
            self._on_begin, lambda: self.kick(SETTLE), lambda: self._owners.cgroup_mount
        )
        self._events = _subscribe()
        self._maturity = Maturity()
        self._connected = ConnectedServers()
        self._matures_at: float | None = None
        self._owners = Owners()
        self._machines_own: set[int] = set()
        self._records: dict[int, ListeningSocket] = {}
        self._interval = AdaptiveInterval(time.monotonic())
        self._alarm: asyncio.Event | None = None
        self._failure = ""

    @property
    def description(self) -> str:
        """How listeners are found, in words for a person."""
        dump = "sock_diag, destroy events" if self._events else "sock_diag polling"
        seen = dump if self._diag.sees_udp else f"{dump}, TCP only"
        if self._binds.is_on:
            return f"{self._binds.description}, {seen}"
        why_not = f" ({self._binds.description})" if self._binds.description else ""
        return (seen + why_not)[:MOST_LETTERS]

    def kick(self, after: float = 0.0) -> None:
        """Scan soon, or in so many seconds: something may have changed. Cheap; may be called before
        `run`."""
        self._interval.kick(time.monotonic(), after)
        if self._alarm is not None:
            self._alarm.set()

    async def run(self) -> None:
        """Scan for ever. Ends by cancellation only, and frees what the watcher holds."""
        loop = asyncio.get_running_loop()
        self._alarm = asyncio.Event()
        if self._events:
            loop.add_reader(self._events.fileno(), self._on_destroyed)
        self._binds.start()
        self.kick()
        try:
            while True:
                await self._until_due()
                self.rescan()
        finally:
            self._alarm = None
            self._binds.stop()
            self._unsubscribe(loop)
            self._diag.close()

    def rescan(self) -> None:
        """Scan now. Never raises; a failure is logged and changes nothing."""
        started = time.thread_time()
        if self._binds.heal(time.monotonic()):
            self.kick()
        self._interval.rely_on_kicks(rely=self._binds.is_on)
        changed = False
        try:
            changed = self._scan()
            self._matures_at = self._maturity.due
            self._failure = ""
        except OSError as error:
            if str(error) != self._failure:
                self._failure = str(error)
                _log.warning("listeners cannot be read, trying again: %s", error)
        cost = time.thread_time() - started
        self._interval.scanned(time.monotonic(), cost=cost, changed=changed)
        self._interval.ceiling = self._ceiling()

    def _ceiling(self) -> float:
        if self._is_quiet():
            return SLOW
        return EVENTS_CEILING if self._binds.is_on else HOST_NETWORKED_CEILING

    def _is_quiet(self) -> bool:
        """True if no container can begin to listen unless an event comes first."""
        engine = self._engine
        return not self.listeners and engine is not None and engine.has_host_networked is False

    async def _until_due(self) -> None:
        alarm = self._alarm
        if alarm is None:
            raise RuntimeError("only run waits")
        loop = asyncio.get_running_loop()
        while (wait := self._due(now := time.monotonic()) - now) > 0:
            alarm.clear()
            timer = loop.call_later(wait, alarm.set)
            try:
                await alarm.wait()
            finally:
                timer.cancel()
        await asyncio.sleep(0)  # others run, too, when one scan is due after the other

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
        # The last step that may fail, before anything is changed.
        identified = self._identify(present)
        removed = [cookie for cookie, each in self._records.items() if present.get(cookie) != each]
        for cookie in removed:
            del self.listeners[cookie], self._records[cookie]
        added = identified + self._renamed()
        self._records.update((each.id, present[each.id]) for each in identified)
        self.listeners.update((each.id, each) for each in added)
        if identified and self._events is None:
            self._binds.follow(self._records[each.id] for each in identified)
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
        owners = self._owners.find(undecided)
        self._owners.forget_others(owners)
        self._machines_own.intersection_update(present)
        identified = []
        for each in undecided:
            container, process, final = owners[each.cookie]
            if container is not None:
                named = replace(container, name=self._name_of(container.id))
                identified.append(to_listener(each, named, process))
            elif final:
                self._machines_own.add(each.cookie)
        return identified

    def _renamed(self) -> list[Listener]:
        """Listeners known before whose container's name is now known, or another."""
        names: dict[str, str] = {}
        changed = []
        for each in self.listeners.values():
            container = each.container
            if container is None:
                continue
            if container.id not in names:
                names[container.id] = self._name_of(container.id)
            name = names[container.id]
            if name and name != container.name:
                changed.append(replace(each, container=replace(container, name=name)))
        return changed

    def _name_of(self, container_id: str) -> str:
        return self._engine.name_of(container_id) if self._engine else ""

    def _on_begin(self, udp_cookies: list[int]) -> None:
        self._maturity.trust(udp_cookies)
        self.kick()

    def _on_destroyed(self) -> None:
        try:
            if self._events is not None and self._events.drain():
                self.kick(SETTLE)
        except SockDiagError as error:
            _log.warning("no more events of closed listeners, polling only: %s", error)
            self._unsubscribe(asyncio.get_running_loop())

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
