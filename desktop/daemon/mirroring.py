"""Mirroring in operation: the pure parts of `desktop.mirror`, fed and obeyed.

    listeners of each machine ── MachinePorts ─┐
    listeners of this computer ────────────────┼─▶ plan ─▶ Reconciler ─▶ Open/Close ─▶ MachinePorts
    settings, switch ──────────────────────────┘              ▲                            │
                                                              └── opened / failed / closed ┘

Rules: events only mark what changed; one `_step` per turn of the loop does the work, at most
`ACTIONS_PER_STEP` of it for each machine, so ten thousand ports never hold up a flow. Whatever
was missed is put right by the next step. There is one reconciler for all machines, since their
mirrors share this computer's ports, and all of them are left out of what this computer listens
on: a machine's port is never mirrored into another machine. Counterpart in the machine:
`vmagent/agent.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from desktop.daemon.host_system import HostSystem
from desktop.daemon.machine_ports import Common, MachinePorts
from desktop.daemon.named_ports import NamedPorts
from desktop.daemon.strokes import next_stroke, stroke_before
from desktop.daemon.traffic import Traffic
from desktop.listeners.source import ListenerSource, Pace
from desktop.mirror.failures import explain
from desktop.mirror.model import Binding, Failure, Row
from desktop.mirror.reconcile import Reconciler
from desktop.mirror.rules import Rules
from desktop.mirror.systems import ExcludedRange, Why
from link.datagrams.flows import Limits
from link.datagrams.sockets import DatagramSockets
from link.listener import Listener
from link.polling import SETTLE, SHARE, AdaptiveInterval
from link.relay.relay import Relay
from link.shortages import shortages

__all__ = ["CHEAP", "COUNT_SECONDS", "Mirroring"]

COUNT_SECONDS: Final = 0.2
"""Between two counts of this computer's sockets, where they can be had and nothing else calls for a
scan: a server that has begun is open in the machine by then."""

CHEAP: Final = COUNT_SECONDS * SHARE
"""Seconds that a scan may take for each such count to be followed by one."""

SETTLED_SECONDS: Final = 2.0
"""How long a command waits at most for what it has changed to be so: an agent may not answer."""

log = logging.getLogger(__name__)


class Mirroring:
    """Makes ports right. Owned by the daemon: `run` it, `close` it.

    `on_change` is called after rows changed, with (added, changed, removed).
    """

    def __init__(
        self,
        relay: Relay,
        sockets: DatagramSockets,
        source: ListenerSource,
        on_change: Callable[[list[Row], list[Row], list[Row]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._on_change = on_change
        self.traffic = Traffic()
        self._sockets = sockets
        self._limits = Limits()
        self._reconciler = Reconciler()
        self._common = Common(
            relay,
            sockets,
            self._limits,
            self.traffic,
            self._reconciler,
            schedule=self._schedule,
            explain=self._explain,
            clock=self._loop.time,
        )
        self._machines: dict[str, MachinePorts] = {}
        self._host: list[Listener] = []
        self._rules: Rules | None = None
        self._step_handle: asyncio.Handle | None = None
        self._is_step_due = False
        self._is_closed = False
        self._here = HostSystem()
        self._looked_at = 0.0
        self._scans_failed = 0
        self._cost = 0.0
        self._complaint = ""
        self._pace = source.pace
        self._interval = self._interval_of(source.pace)
        self._named = NamedPorts()
        self._relay = relay
        self._ask_before_words()
        self._kicked = asyncio.Event()
        self._has_news = False
        self._counting: asyncio.TimerHandle | None = None
        self._unsettled: set[asyncio.Future[None]] = set()

    def machine(self, name: str) -> MachinePorts:
        """The ports of a machine, which need not be attached."""
        ports = self._machines.get(name)
        if ports is None:
            ports = self._machines[name] = MachinePorts(name, self._common)
        return ports

    def configure(self, rules: Rules | None) -> None:
        """Mirror by these rules from now on; None: host networking is off."""
        self._rules = rules
        self._replan()

    async def settled(self) -> None:
        """Wait until ports are as rules and listeners have it, on both sides; not for long.

        So whoever gave a command, and has its answer, finds what it says.
        """
        if self._is_closed:
            return
        waiter = self._loop.create_future()
        self._unsettled.add(waiter)
        self._schedule()
        try:
            await asyncio.wait([waiter], timeout=SETTLED_SECONDS)
        finally:
            self._unsettled.discard(waiter)

    def limit_udp(self, idle_seconds: int, most_flows: int) -> None:
        """Keep UDP flows by these limits from now on, on both sides."""
        self._limits.idle_seconds = idle_seconds
        self._limits.most_flows = most_flows
        for ports in self._machines.values():
            ports.tell_limits()

    def counters(self) -> dict[str, int]:
        """What was counted here (`desktop.api.counters`)."""
        mirrors = [ports.mirrors for ports in self._machines.values()]
        total = self.traffic.total()
        refused = sum(each.refused_files for each in mirrors)
        return {
            "datagrams_dropped": total.dropped,
            "udp_flows_evicted": total.evicted,
            "connections_refused_files": refused + shortages.files,
            "connections_refused_memory": shortages.memory,
            "connections_refused_ports": shortages.ports,
            "connections_refused_nowhere": sum(each.refused_nowhere for each in mirrors),
            "accepts_paused": shortages.pauses,
            "port_opens_failed": sum(each.failed for each in mirrors),
            "listener_scans_failed": self._scans_failed,
        }

    def rows(self) -> list[Row]:
        """All rows, sorted."""
        return self._reconciler.rows()

    async def run(self) -> None:
        """Watch this computer's listeners until cancelled."""
        descriptor = self._source.wakeup_fileno()
        if descriptor is not None:
            self._loop.add_reader(descriptor, self._destroyed)
        try:
            while True:
                self._scan()
                await self._until_due()
        finally:
            if descriptor is not None:
                self._loop.remove_reader(descriptor)

    async def _until_due(self) -> None:
        """Wait until the clock asks for a scan, or something that happened does."""
        self._has_news = False
        if self._named.can_count and self._cost <= CHEAP:
            self._count_later()
        try:
            while not self._has_news:
                now = self._loop.time()
                due = self._interval.next_due(now)
                if due <= now:
                    return
                if self._counting is not None and due - now > COUNT_SECONDS:  # with a count
                    due = stroke_before(due, COUNT_SECONDS)
                self._kicked.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._kicked.wait()
                if self._loop.time() >= due:
                    return
        finally:
            if self._counting is not None:
                self._counting.cancel()
                self._counting = None

    def _count(self) -> None:
        """Look whether sockets have come or gone; by a timer, which costs less than a task."""
        if self._named.has_changed:
            self._has_news = True
            self._kicked.set()
        else:
            self._count_later()

    def _count_later(self) -> None:
        stroke = next_stroke(self._loop.time(), COUNT_SECONDS)
        self._counting = self._loop.call_at(stroke, self._count)

    def close(self) -> None:
        """Close every mirror for good and free what is held. Flows are the relay's."""
        self._is_closed = True
        self._let_go_on()
        if self._step_handle is not None:
            self._step_handle.cancel()
        for ports in self._machines.values():
            ports.close()
        self._sockets.close()
        self._source.close()
        self._named.close()
        self._here.close()

    def _destroyed(self) -> None:
        drained = self._source.drain()
        descriptor = self._source.wakeup_fileno()
        if descriptor is not None:
            # An overflow is an error of the socket, after which uvloop listens to it no more.
            self._loop.remove_reader(descriptor)
            self._loop.add_reader(descriptor, self._destroyed)
        if drained:
            self._interval.kick(self._loop.time(), SETTLE)
            self._kicked.set()

    def _scan(self) -> None:
        """Look at this computer's listeners; replan if they changed."""
        begin = time.thread_time()
        self._named.looked()
        try:
            found = self._source.scan(self._own_inodes())
        except (OSError, MemoryError) as error:
            self._scans_failed += 1
            self._complain(repr(error))
            found = self._host
        else:
            self._complaint = ""
        changed = found != self._host
        if changed:
            self._host = found
            self._reconciler.retry_conflicts(self._loop.time())
            self._replan()
        cost = self._cost = time.thread_time() - begin
        if self._source.pace != self._pace:
            self._pace = self._source.pace
            self._interval = self._interval_of(self._pace)
        self._interval.scanned(self._loop.time(), cost=cost, changed=changed)

    def _before_words(self) -> None:
        """Look before words go on, if they may name a port that has just been opened."""
        if self._is_closed:
            return
        now = self._loop.time()
        if self._named.is_due(now, has_closed=self._interval.is_kicked):
            self._scan()
            if self._is_step_due and self._step_handle is not None:
                self._step_handle.cancel()
                self._step()
        elif pause := self._named.pause(now):
            self._relay.before_words = None
            self._loop.call_later(pause, self._ask_before_words)

    def _ask_before_words(self) -> None:
        self._relay.before_words = self._before_words

    def _complain(self, words: str) -> None:
        """Say once what keeps looks from succeeding, however often they are tried."""
        if words != self._complaint:
            self._complaint = words
            log.warning("this computer's listeners could not be read: %s", words)

    def _interval_of(self, pace: Pace) -> AdaptiveInterval:
        return AdaptiveInterval(self._loop.time(), fast=pace.fast, slow=pace.slow)

    def _own_inodes(self) -> frozenset[int]:
        """Socket inodes of the mirrors here, so that they are not mirrored back, or elsewhere."""
        return frozenset().union(*(ports.inodes for ports in self._machines.values()))

    def _replan(self) -> None:
        for ports in self._machines.values():
            ports.replan()

    def _schedule(self) -> None:
        """Step in the loop's next turn, whatever was due later."""
        if self._is_step_due or self._is_closed:
            return
        if self._step_handle is not None:
            self._step_handle.cancel()
        self._is_step_due = True
        self._step_handle = self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._step_handle = None
        self._is_step_due = False
        now = self._loop.time()
        self._mind_ways()
        for ports in self._machines.values():
            if ports.is_stale:
                ports.plan(self._host, self._rules, now)
        for action in self._reconciler.actions(now):
            self._machines[action.binding.machine].take(action)
        acted = [ports.act(now) for ports in self._machines.values()]
        added, changed, removed = self._reconciler.take_changes()
        if added or changed or removed:
            for row in removed:
                self.traffic.forget(row.wish.binding)
            self._on_change(added, changed, removed)
        for row in self._reconciler.notices():
            binding = row.wish.binding
            log.warning("%s port %d: %s", binding.protocol, binding.port, row.reason)
        self._arm(may_have_more=any(acted))
        if self._unsettled and not any(acted):
            self._look_whether_settled()

    def _look_whether_settled(self) -> None:
        """Tell who waits for it, if nothing is left to do, to be answered or to be told."""
        have_told = all(ports.has_told for ports in self._machines.values())
        if have_told and not self._reconciler.is_waiting:
            self._let_go_on()

    def _let_go_on(self) -> None:
        for waiter in self._unsettled:
            waiter.set_result(None)
        self._unsettled.clear()

    def _mind_ways(self) -> None:
        """A port by which one machine is reached is not mirrored into any."""
        ways = frozenset().union(*(ports.ways for ports in self._machines.values()))
        if self._rules is not None and ways != self._rules.ways:
            self._rules = replace(self._rules, ways=ways)
            self._replan()

    def _explain(self, binding: Binding, number: int, now: float) -> Failure:
        """Why a mirror here could not be opened."""
        system = self._here.system
        if system.numbers.get(number) is Why.IN_USE and self._looked_at < now:
            # Whoever came first may have come since the last look, and should be named at once.
            self._looked_at = now
            self._scan()
        excluded: list[ExcludedRange] = []
        if system.numbers.get(number) is Why.DENIED:
            excluded = self._here.excluded(binding.protocol)
        return explain(binding, number, self._host, system, excluded)

    def _arm(self, *, may_have_more: bool) -> None:
        """Come back when there is more to do: one action done may let another begin."""
        if self._step_handle is not None:
            return
        deadline = self._reconciler.next_deadline()
        if may_have_more:
            self._schedule()
        elif deadline is not None:
            self._step_handle = self._loop.call_at(deadline, self._step)
