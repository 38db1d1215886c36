"""Mirroring in operation: the pure parts of `desktop.mirror`, fed and obeyed.

    listeners of the machine (link) ─┐
    listeners of this computer ──────┼─▶ plan ─▶ Reconciler ─▶ Open/Close ─┬─▶ HostMirrors
    settings, switch ────────────────┘              ▲                      └─▶ Stubs message
                                                    └── opened / failed / closed ◀──┘

Rules: events only mark what changed; one `_step` per turn of the loop does the work, at most
`ACTIONS_PER_STEP` of it, so ten thousand ports never hold up a flow. Whatever was missed is put
right by the next step. Counterpart in the machine: `vmagent/agent.py`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from desktop.daemon.host_mirrors import HostMirrors
from desktop.daemon.link import AgentLink
from desktop.daemon.traffic import Traffic
from desktop.daemon.udp_servers import UdpServers
from desktop.listeners.source import ListenerSource
from desktop.mirror.failures import explain
from desktop.mirror.inventory import Inventory
from desktop.mirror.model import Binding, Origin, Row, Target
from desktop.mirror.reconcile import Action, Close, Open, Reconciler
from desktop.mirror.rules import Rules, plan
from link.datagrams.flows import Limits
from link.datagrams.sockets import DatagramSockets
from link.listener import Listener
from link.messages import (
    Delta,
    Message,
    Resync,
    Snapshot,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    UdpLimits,
    Watching,
    Welcome,
)
from link.opening import Forwarder, answer
from link.polling import SETTLE, AdaptiveInterval
from link.pool import StreamPool
from link.relay.relay import Relay, reset_socket
from link.wire import OpenRequest

__all__ = ["ACTIONS_PER_STEP", "Mirroring"]

ACTIONS_PER_STEP: Final = 256
HOST_SCAN_SECONDS: Final = (0.1, 0.5)
"""Fast and slow interval of looking for this computer's listeners; a scan takes 0.1 ms."""

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
        self._relay = relay
        self._source = source
        self._on_change = on_change
        self.traffic = Traffic()
        self.welcome: Welcome | None = None
        self.pool = StreamPool(self._need_streams, relay.readiness)
        self._sockets = sockets
        self._limits = Limits()
        self._mirrors = HostMirrors(
            Forwarder(self.pool, relay),
            sockets,
            self.pool,
            self._limits,
            self.traffic,
            self._target_of,
        )
        self._udp_servers = UdpServers(sockets, self._limits, self.traffic)
        self._reconciler = Reconciler()
        self._inventory = Inventory()
        self._host: list[Listener] = []
        self._rules: Rules | None = None
        self._link: AgentLink | None = None
        self._actions: deque[Action] = deque()
        self._is_stale = False
        self._step_handle: asyncio.Handle | None = None
        self._is_step_due = False
        self._looked_at = 0.0
        self._interval = AdaptiveInterval(
            self._loop.time(), fast=HOST_SCAN_SECONDS[0], slow=HOST_SCAN_SECONDS[1]
        )
        self._kicked = asyncio.Event()

    def configure(self, rules: Rules | None) -> None:
        """Mirror by these rules from now on; None: host networking is off."""
        self._rules = rules
        self._replan()

    def limit_udp(self, idle_seconds: int, most_flows: int) -> None:
        """Keep UDP flows by these limits from now on, on both sides."""
        self._limits.idle_seconds = idle_seconds
        self._limits.most_flows = most_flows
        self._tell_limits()

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
                self._kicked.clear()
                pause = self._interval.next_due(self._loop.time()) - self._loop.time()
                try:
                    async with asyncio.timeout(max(pause, 0)):
                        await self._kicked.wait()
                except TimeoutError:
                    continue
        finally:
            if descriptor is not None:
                self._loop.remove_reader(descriptor)

    def close(self) -> None:
        """Close every mirror and free what is held. Flows are the relay's."""
        if self._step_handle is not None:
            self._step_handle.cancel()
        self._mirrors.close_all()
        self._udp_servers.close_all()
        self._sockets.close()
        self.pool.close()
        self._source.close()

    def link_up(self, link: AgentLink) -> None:
        """A new session: its agent will send a snapshot."""
        self._link = link
        self._inventory = Inventory()
        self._tell_limits()

    def link_down(self, reason: str) -> None:
        """The session is gone: mirrors pause; those in the machine, and their UDP flows, end."""
        log.info("mirrors are paused: %s", reason)
        self._link = None
        self.welcome = None
        self._inventory = Inventory()
        self._udp_servers.close_all()
        self._actions = deque(a for a in self._actions if _binding(a).origin is Origin.MACHINE)
        self._reconciler.pause(self._loop.time())
        self._schedule()

    def detached(self) -> None:
        """No machine is in use any more: no mirror has a reason to be."""
        self._reconciler.clear(self._loop.time())
        self._schedule()

    def message(self, message: Message) -> None:
        """A message of the agent."""
        if isinstance(message, Welcome):
            self.welcome = message
        elif isinstance(message, Watching) and self.welcome is not None:
            self.welcome = replace(self.welcome, watcher=message.watcher)
        elif isinstance(message, Snapshot):
            if self._inventory.snapshot(message):
                self._reconciler.resume(self._loop.time())
                self._replan()
        elif isinstance(message, Delta):
            self._delta(message)
        elif isinstance(message, StubResults):
            for result in message.results:
                self._stub_result(result)
            self._schedule()

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        """A container connected to a stub: dial what the rules say, or nothing."""
        binding = Binding(Origin.HOST, request.protocol, request.address, request.port)
        target = self._target_of(binding)
        if target is None:
            log.info("refused a flow to %s port %d: no such mirror", request.address, request.port)
            reset_socket(stream)
            return
        if request.protocol == "udp":
            self._udp_servers.opened(binding, stream, target)
            return
        watch = self.traffic.watch(binding)
        flow = answer(self._relay, stream, target.address, target.port, watch.ended)
        if flow is not None:
            watch.started(flow)

    def _tell_limits(self) -> None:
        if self._link is not None:
            limits = self._limits
            self._link.send(UdpLimits(int(limits.idle_seconds), limits.most_flows))

    def _delta(self, delta: Delta) -> None:
        if self._inventory.delta(delta):
            self._replan()
        elif self._link is not None:
            log.warning("a change of the machine's listeners was missed; asking for all")
            self._link.send(Resync())

    def _target_of(self, binding: Binding) -> Target | None:
        wish = self._reconciler.wish_for(binding)
        return None if wish is None else wish.target

    def _need_streams(self) -> None:
        if self._link is not None:
            self._link.need()

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
        try:
            found = self._source.scan(self._mirrors.inodes)
        except OSError as error:
            log.warning("this computer's listeners could not be read: %s", error)
            found = self._host
        changed = found != self._host
        if changed:
            self._host = found
            self._reconciler.retry_conflicts(self._loop.time())
            self._replan()
        cost = time.thread_time() - begin
        self._interval.scanned(self._loop.time(), cost=cost, changed=changed)

    def _replan(self) -> None:
        self._is_stale = True
        self._schedule()

    def _schedule(self) -> None:
        """Step in the loop's next turn, whatever was due later."""
        if self._is_step_due:
            return
        if self._step_handle is not None:
            self._step_handle.cancel()
        self._is_step_due = True
        self._step_handle = self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._step_handle = None
        self._is_step_due = False
        now = self._loop.time()
        if self._is_stale:
            self._is_stale = False
            self._wish(now)
        self._actions.extend(self._reconciler.actions(now))
        acted = bool(self._actions)
        self._act(now)
        added, changed, removed = self._reconciler.take_changes()
        if added or changed or removed:
            for row in removed:
                self.traffic.forget(row.wish.binding)
            self._on_change(added, changed, removed)
        for row in self._reconciler.notices():
            binding = row.wish.binding
            log.warning("%s port %d: %s", binding.protocol, binding.port, row.reason)
        self._arm(may_have_more=acted)

    def _wish(self, now: float) -> None:
        if self._rules is None:
            self._reconciler.clear(now)
        elif self._inventory.is_complete:
            machine = self._inventory.listeners.values()
            self._reconciler.wish(plan(machine, self._host, self._rules), now)

    def _act(self, now: float) -> None:
        opened: list[StubKey] = []
        closed: list[StubKey] = []
        for _ in range(min(len(self._actions), ACTIONS_PER_STEP)):
            action = self._actions.popleft()
            binding = _binding(action)
            if binding.origin is Origin.MACHINE:
                self._act_here(action, binding, now)
            else:
                key = StubKey(binding.address, binding.port, binding.protocol)
                if isinstance(action, Open):
                    opened.append(key)
                else:
                    self._udp_servers.close(binding)
                    closed.append(key)
        if (opened or closed) and self._link is not None:
            self._link.send(Stubs(tuple(opened), tuple(closed)))

    def _act_here(self, action: Action, binding: Binding, now: float) -> None:
        if isinstance(action, Close):
            self._mirrors.close(binding)
            self._reconciler.closed(binding, now)
            return
        number = self._mirrors.open(binding)
        if number == errno.EADDRINUSE and self._looked_at < now:
            # Whoever came first may have come since the last look, and should be named at once.
            self._looked_at = now
            self._scan()
        if number:
            self._reconciler.failed(binding, explain(binding, number, self._host), now)
        else:
            self._reconciler.opened(binding, now)

    def _stub_result(self, result: StubResult) -> None:
        now = self._loop.time()
        stub = result.stub
        binding = Binding(Origin.HOST, stub.protocol, stub.address, stub.port)
        if result.is_open:
            self._reconciler.opened(binding, now)
        elif result.errno:
            failure = explain(binding, result.errno, self._inventory.listeners.values())
            self._reconciler.failed(binding, failure, now)
            self._reconciler.lost(binding, failure, now)
        else:
            self._reconciler.closed(binding, now)

    def _arm(self, *, may_have_more: bool) -> None:
        """Come back when there is more to do: one action done may let another begin."""
        if self._step_handle is not None:
            return
        deadline = self._reconciler.next_deadline()
        if may_have_more:
            self._schedule()
        elif deadline is not None:
            self._step_handle = self._loop.call_at(deadline, self._step)


def _binding(action: Action) -> Binding:
    return action.wish.binding if isinstance(action, Open) else action.binding
