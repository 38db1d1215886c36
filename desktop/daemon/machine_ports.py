"""The ports of one machine: what its agent has told, its mirrors here, and its stubs there.

    Attachment ── link, messages, streams ──▶ MachinePorts ── listeners ──▶ Reconciler
                                                   ▲ └─ schedule ─▶ Mirroring
    HostMirrors ◀── act ───────────────────────────┤
    Stubs message ◀────────────────────────────────┘

Rules: what is here is of one machine, so another that goes takes nothing with it: neither streams
nor UDP flows nor actions under way. While the link is away, what was told last stands, so the
rows do. Counterparts: `mirroring.py` owns it; `vmagent/agent.py` in the machine.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from desktop.api.types import TrialInfo
from desktop.daemon.agent_counts import AgentCounts
from desktop.daemon.host_mirrors import HostMirrors
from desktop.daemon.inquiries import Inquiries, Told
from desktop.daemon.link import AgentLink
from desktop.daemon.traffic import Traffic
from desktop.daemon.trials import Trials
from desktop.daemon.udp_servers import UdpServers
from desktop.errors import MachineUnreachableError
from desktop.mirror.failures import explain
from desktop.mirror.inventory import Inventory
from desktop.mirror.model import Binding, Failure, Origin, Target
from desktop.mirror.reconcile import Action, Close, Open, Reconciler
from desktop.mirror.rules import Rules, plan
from link.datagrams.flows import Limits
from link.datagrams.sockets import DatagramSockets
from link.listener import Listener
from link.messages import (
    Condition,
    Counts,
    Delta,
    Message,
    Resync,
    Snapshot,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    TrialOpened,
    TrialResults,
    UdpLimits,
    Watching,
    Welcome,
)
from link.opening import Forwarder, answer, refuse
from link.pool import StreamPool
from link.relay.relay import Relay
from link.wire import OpenRequest

__all__ = ["ACTIONS_PER_STEP", "Common", "MachinePorts"]

ACTIONS_PER_STEP: Final = 256
REMEMBERED_STUBS: Final = 1024
"""For which the mirror need not be worked out anew."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Common:
    """What all machines share.

    Attributes:
        schedule: have the next step come soon: there is news.
        explain: why a mirror here could not be opened, with this error number at this time.
        clock: the time, in seconds of the loop's clock.
    """

    relay: Relay
    sockets: DatagramSockets
    limits: Limits
    traffic: Traffic
    reconciler: Reconciler
    schedule: Callable[[], None]
    explain: Callable[[Binding, int, float], Failure]
    clock: Callable[[], float]


class MachinePorts:
    """One machine's. Owned by `Mirroring`; told of links as `AttachmentEvents`.

    Attributes:
        name: the machine's.
        pool: streams to it that mirrors here draw from.
        mirrors: those that stand here for its listeners.
        welcome: what its agent said of itself; None without a link.
        is_stale: `plan` is due.
        is_held: no port of it is to be opened for the time being; `replan` after a change.
        ways: (protocol, port) of the desktop by which it is reached.
    """

    def __init__(self, name: str, common: Common) -> None:
        self.name = name
        self.pool = StreamPool(self._need_streams, common.relay.readiness)
        self.welcome: Welcome | None = None
        self.is_stale = False
        self.is_held = False
        self.ways: frozenset[tuple[str, int]] = frozenset()
        self._common = common
        self._reconciler = common.reconciler
        self.mirrors = HostMirrors(
            Forwarder(self.pool, common.relay),
            common.sockets,
            self.pool,
            common.limits,
            common.traffic,
            self._target_of,
        )
        self._udp_servers = UdpServers(common.sockets, common.limits, common.traffic)
        self._trials = Trials(name, self.mirrors, common.traffic, self._udp_servers.close)
        self._inquiries = Inquiries()
        self._agent_counts = AgentCounts()
        self._flows_refused = 0
        self._flows_failed = 0
        self._stubs_failed = 0
        self._snapshots_repeated = 0
        self._inventory = Inventory()
        self._listeners: dict[int, Listener] | None = None
        self._link: AgentLink | None = None
        self._actions: deque[Action] = deque()

    # What the attachment tells (AttachmentEvents).

    def reached_by(self, ports: frozenset[tuple[str, int]]) -> None:
        """These ports of the desktop lead into the machine, and are no machine's business.

        There is a new agent.
        """
        self.ways = ports
        self._agent_counts.begin()
        self._common.schedule()

    def link_up(self, link: AgentLink) -> None:
        """A new session: its agent will send a snapshot."""
        self._link = link
        self._inventory = Inventory()
        self.tell_limits()

    def link_down(self, reason: str) -> None:
        """The session is gone: mirrors pause; those in the machine, and their UDP flows, end."""
        log.info("mirrors of %s are paused: %s", self.name, reason)
        self._link = None
        self.welcome = None
        self._trials.link_down(reason)
        self._inventory = Inventory()
        self._udp_servers.close_all()
        self._actions = deque(a for a in self._actions if a.binding.origin is Origin.MACHINE)
        self._reconciler.pause(self.name, self._common.clock())
        self._common.schedule()

    def message(self, message: Message) -> None:
        """A message of the agent."""
        if isinstance(message, Welcome):
            self.welcome = message
        elif isinstance(message, Watching) and self.welcome is not None:
            self.welcome = replace(self.welcome, watcher=message.watcher)
        elif isinstance(message, Snapshot):
            self._snapshot(message)
        elif isinstance(message, Delta):
            self._delta(message)
        elif isinstance(message, StubResults):
            for result in message.results:
                self._stub_result(result)
            self._common.schedule()
        elif isinstance(message, Counts):
            self._agent_counts.told(message.counts)
        elif isinstance(message, (TrialOpened, TrialResults)):
            self._trials.told(message)
        elif isinstance(message, Condition):
            self._inquiries.answered(message)

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        """A container connected to a stub: dial what the rules say, or nothing."""
        binding = self._stub(request)
        target = self._target_of(binding)
        if target is None:
            self._flows_refused += 1
            log.info("refused a flow to %s port %d: no such mirror", request.address, request.port)
            refuse(self._common.relay, stream)
            return
        if request.protocol == "udp":
            self._udp_servers.opened(binding, stream, target)
            return
        relay, watch = self._common.relay, self._common.traffic.watch(binding)
        flow = answer(relay, stream, target.address, target.port, watch.ended)
        if flow is None:
            self._flows_failed += 1
        else:
            watch.started(flow)

    def counters(self) -> dict[str, int]:
        """What was counted of this machine (`desktop.api.counters`), but for the link itself."""
        return {
            "clients_refused": self.pool.refused,
            "clients_timed_out": self.pool.expired,
            "flows_refused": self._flows_refused,
            "flows_failed": self._flows_failed,
            "stub_opens_failed": self._stubs_failed,
            "snapshots_repeated": self._snapshots_repeated,
            **self._agent_counts.values(),
        }

    async def ask(self) -> Told | None:
        """How the agent is; None without a link. Raises TimeoutError."""
        link = self._link
        return None if link is None else await self._inquiries.ask(link.send)

    async def self_test(self, *, both_ways: bool) -> list[TrialInfo]:
        """See `Backend.self_test`."""
        if self._link is None:
            raise MachineUnreachableError(
                f"{self.name} is not connected", "see: samehost doctor machine"
            )
        return await self._trials.run(self._link.send, both_ways=both_ways)

    # What the owner says.

    @property
    def has_told(self) -> bool:
        """False while the agent of a link has yet to say what listens there."""
        return self._link is None or self._inventory.is_complete

    def replan(self) -> None:
        """Something that `plan` looks at has changed."""
        self.is_stale = True
        self._common.schedule()

    def plan(self, here: Iterable[Listener], rules: Rules | None, now: float) -> None:
        """Wish what follows from the listeners on both sides; None: nothing."""
        self.is_stale = False
        known = None if self.is_held else self._listeners
        wishes = plan(self.name, known.values(), here, rules) if rules and known is not None else ()
        self._reconciler.wish(self.name, wishes, now)

    def take(self, action: Action) -> None:
        """Do this, in `act`."""
        self._actions.append(action)

    def act(self, now: float) -> bool:
        """Do at most ACTIONS_PER_STEP of what was taken; False if there was nothing to do."""
        opened: list[StubKey] = []
        closed: list[StubKey] = []
        count = min(len(self._actions), ACTIONS_PER_STEP)
        for _ in range(count):
            action = self._actions.popleft()
            binding = action.binding
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
        return bool(count)

    def tell_limits(self) -> None:
        """Pass the limits of UDP flows on to the agent."""
        if self._link is not None:
            limits = self._common.limits
            self._link.send(UdpLimits(int(limits.idle_seconds), limits.most_flows))

    def detached(self) -> None:
        """The machine is in use no more: none of its mirrors has a reason to be."""
        self._listeners = None
        self.ways = frozenset()
        self.replan()

    def close(self) -> None:
        """Close every mirror and free what is held. Flows are the relay's."""
        self.mirrors.close_all()
        self._udp_servers.close_all()
        self.pool.close()

    def _snapshot(self, part: Snapshot) -> None:
        if self._inventory.snapshot(part):
            self._listeners = self._inventory.listeners
            self._reconciler.resume(self.name, self._common.clock())
            self.replan()

    def _delta(self, delta: Delta) -> None:
        if self._inventory.delta(delta):
            self.replan()
        elif self._link is not None:
            self._snapshots_repeated += 1
            log.warning("a change of %s's listeners was missed; asking for all", self.name)
            self._link.send(Resync())

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of ours here, so that they are not mirrored back."""
        return self.mirrors.inodes | self._trials.inodes

    def _target_of(self, binding: Binding) -> Target | None:
        target = self._trials.target_of(binding)
        if target is not None:
            return target
        wish = self._reconciler.wish_for(binding)
        return None if wish is None else wish.target

    def _need_streams(self) -> None:
        if self._link is not None:
            self._link.need()

    def _stub(self, place: OpenRequest | StubKey) -> Binding:
        return _stub_of(self.name, place.protocol, place.address, place.port)

    def _act_here(self, action: Action, binding: Binding, now: float) -> None:
        if isinstance(action, Close):
            self.mirrors.close(binding)
            self._reconciler.closed(binding, now)
            return
        number = self.mirrors.open(binding)
        if number:
            self._reconciler.failed(binding, self._common.explain(binding, number, now), now)
        else:
            self._reconciler.opened(binding, now, self.mirrors.note(binding))

    def _stub_result(self, result: StubResult) -> None:
        now = self._common.clock()
        binding = self._stub(result.stub)
        if result.is_open:
            self._reconciler.opened(binding, now)
        elif result.errno:
            self._stubs_failed += 1
            failure = explain(binding, result.errno, (self._listeners or {}).values())
            self._reconciler.failed(binding, failure, now)
            self._reconciler.lost(binding, failure, now)
        else:
            self._reconciler.closed(binding, now)


@lru_cache(REMEMBERED_STUBS)
def _stub_of(machine: str, protocol: str, address: str, port: int) -> Binding:
    """The mirror in a machine that a container asks for, or that the agent tells of."""
    return Binding(Origin.HOST, protocol, address, port, machine)
