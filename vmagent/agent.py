"""The agent: composition of the door, the watcher, the stubs and the flows.

    desktop ══ control ══▶ _Session     Stubs in; Snapshot, Delta, StubResults and more out
    desktop ══ outbound ══▶ OpenReader ─▶ dial a container's listener ─▶ relay, or Back for UDP
    desktop ══ parked ═══▶ pool ◀─ a container's connection to a stub ─▶ relay, or Front for UDP

Rules: it dials and binds loopback only. It serves the newest desktop session; an older one ends.
Stubs live while the session does, and LEASE_SECONDS longer; without a desktop for
ORPHAN_SECONDS, or when its standard input ends, the agent exits.
Counterpart: `desktop.daemon.link`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from link.control import ControlConnection
from link.datagrams.back import Back
from link.datagrams.flow import UNWATCHED
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import DatagramSockets
from link.handshake import Role
from link.listener import Listener
from link.messages import (
    MAX_TEXT,
    Beat,
    Bye,
    Condition,
    Inquiry,
    Message,
    Resync,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    Trial,
    TrialEnd,
    UdpLimits,
    Wanted,
    Watching,
    Welcome,
    in_parts,
)
from link.messages import Counts as CountsMessage
from link.opening import Forwarder, OpenReader, answer
from link.pool import StreamPool
from link.relay.relay import Flow
from link.relay.splice import SpliceRelay
from link.session import LEASE_SECONDS
from link.shortages import shortages
from link.stream import Stream
from link.version import VERSION
from link.wire import OpenRequest
from vmagent.condition import condition
from vmagent.counts import Counts
from vmagent.desktop_ports.by_loopback import by_loopback, listen_by_loopback
from vmagent.desktop_ports.redirect import Redirect
from vmagent.desktop_ports.stubs import Stubs as OpenStubs
from vmagent.door import Door
from vmagent.engine import EngineWatcher
from vmagent.last_words import LastWords
from vmagent.told import Told
from vmagent.trials import Trials
from vmagent.watch.cgroups import CgroupTree
from vmagent.watch.vantage import machines_root
from vmagent.watch.watcher import Watcher

__all__ = ["ORPHAN_SECONDS", "Agent", "AgentConfig"]

ORPHAN_SECONDS: Final = 60.0
"""An agent without a desktop for this long ends."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentConfig:
    """What the desktop hands the agent on its standard input."""

    secret: bytes = field(repr=False)
    engine_sockets: tuple[str, ...]
    may_use_ebpf: bool = True


class Agent:
    """One agent, in the running loop. `run` until it should end.

    `carries_reset` is False if a reset of the streams that it adopts is seen as their end.
    """

    def __init__(self, config: AgentConfig, *, carries_reset: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._carries_reset = carries_reset
        self._relay = SpliceRelay()
        self._pool = StreamPool(self._say_wanted, self._relay.readiness)
        self._forwarder = Forwarder(self._pool, self._relay)
        self._sockets = LinuxDatagramSockets(by_loopback())
        self._limits = Limits()
        self._backs: dict[Back, int] = {}
        self._last_words = LastWords(self._backs.items, self._tell)
        self._no_redirect = ""
        self._redirect = self._open_redirect(config.may_use_ebpf)
        self._stubs = self._redirect or OpenStubs(
            self._client_of_stub, lambda key: self._front_of_stub(key, self._sockets)
        )
        self._trials = Trials(
            self._client_of_stub,
            lambda key, port: self._front_of_stub(key, self._sockets, port),
            listen_by_loopback,
        )
        self._door = Door(config.secret, self._stream)
        self._engine = EngineWatcher(
            config.engine_sockets, lambda: self._watcher.kick(), root=machines_root()
        )
        self._watcher = Watcher(
            on_change=self._last_words.changed,
            own_inodes=lambda: self._stubs.inodes | self._trials.inodes,
            engine=self._engine,
            may_use_ebpf=config.may_use_ebpf,
            on_others=self._redirect.others_came if self._redirect else lambda _others: None,
            on_scan=self._scanned,
        )
        self._flows_failed = 0
        self._counts = Counts(self._sources())
        self._readers: set[OpenReader] = set()
        self._session: _Session | None = None
        self._generation = 0
        self._finished = asyncio.Event()
        self._lease: asyncio.TimerHandle | None = None
        self._orphan = self._loop.call_later(ORPHAN_SECONDS, self.finish, "no desktop came")

    def _sources(self) -> dict[str, Callable[[], int]]:
        """What is counted, under the names of `desktop.api.counters` but for "agent_"."""
        return {
            "strangers_refused": lambda: self._door.refused,
            "clients_refused": lambda: self._pool.refused,
            "clients_timed_out": lambda: self._pool.expired,
            "connections_refused_files": lambda: shortages.files,
            "connections_refused_memory": lambda: shortages.memory,
            "connections_refused_ports": lambda: shortages.ports,
            "accepts_paused": lambda: shortages.pauses,
            "flows_failed": lambda: self._flows_failed,
            "engine_retries": lambda: self._engine.failures,
            "events_lost": lambda: self._watcher.events_lost,
            "programs_reattached": lambda: self._watcher.healed,
        }

    def _open_redirect(self, may_use_ebpf: bool) -> Redirect | None:
        """The better way to the desktop's ports, where it can be had."""
        if not may_use_ebpf:
            return None
        try:
            return Redirect(
                self._client_of_stub,
                self._front_of_stub,
                self._sockets,
                self._say_results,
                CgroupTree().mount,
            )
        except OSError as error:
            self._no_redirect = error.strerror or str(error)
            log.info("the desktop's ports are not redirected: %s", self._no_redirect)
            return None

    @property
    def description(self) -> str:
        """How ports are seen and reached, in words for a person."""
        way = ""
        if self._redirect is not None:
            trouble = self._redirect.trouble
            way = "redirect" + (f", which fails: {trouble}" if trouble else "")
        elif self._no_redirect:
            way = f"stubs ({self._no_redirect})"
        way = f"; the desktop's ports by {way}" if way else ""
        return (self._watcher.description + way)[:MAX_TEXT]

    def adopt(self, stream: socket.socket) -> None:
        """Take a new stream from whatever accepts them."""
        self._door.admit(stream)

    def finish(self, reason: str) -> None:
        """Make `run` return."""
        if not self._finished.is_set():
            log.info("the agent ends: %s", reason)
            self._finished.set()

    async def run(self) -> None:
        """Watch and serve until `finish`; leaves no socket behind."""
        self._watcher.rescan()
        tasks = [
            self._loop.create_task(self._watcher.run(), name="watcher"),
            self._loop.create_task(self._engine.run(), name="engine"),
        ]
        finished = self._loop.create_task(self._finished.wait(), name="end of the agent")
        try:
            await asyncio.wait([*tasks, finished], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, finished):
                task.cancel()
            results = await asyncio.gather(*tasks, finished, return_exceptions=True)
            await self._aclose()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _aclose(self) -> None:
        self._orphan.cancel()
        self._stop_lease()
        self._last_words.close()
        self._door.close()
        self._trials.end()
        self._stubs.end()
        for reader in list(self._readers):
            reader.close()
        if self._session is not None:
            self._session.connection.close()
        self._pool.close()
        for back in list(self._backs):
            back.close()
        self._sockets.close()
        await self._relay.aclose()

    def _stream(self, stream: socket.socket, role: Role) -> None:
        if role is Role.CONTROL:
            _Session(self, stream)
            return
        carried = Stream.of(stream, may_be_raw=self._carries_reset)
        if role is Role.PARKED:
            self._pool.put(carried)
        else:
            readiness = self._relay.readiness
            reader = OpenReader(carried, self._opened, self._readers.discard, readiness)
            self._readers.add(reader)
            carried.home = partial(self._await_opening, reader)

    def _await_opening(self, reader: OpenReader, _stream: Stream) -> None:
        self._readers.add(reader)
        reader.wait()

    def _opened(self, stream: socket.socket, request: OpenRequest) -> None:
        if request.protocol == "udp":
            back = Back(
                self._sockets,
                stream,
                request.address,
                request.port,
                limits=self._limits,
                watch=UNWATCHED,
                on_end=self._back_ended,
            )
            self._backs[back] = request.port
        else:
            flow = answer(self._relay, stream, request.address, request.port, _ignore)
            self._flows_failed += flow is None

    def _back_ended(self, back: Back) -> None:
        self._backs.pop(back, None)

    def _front_of_stub(self, key: StubKey, sockets: DatagramSockets, port: int = 0) -> Front:
        """A stub of a port of the desktop, at that number unless `port` is another."""
        request = OpenRequest(key.address, key.port, "udp")
        return Front(
            sockets,
            key.address,
            port or key.port,
            target=lambda: request,
            pool=self._pool,
            limits=self._limits,
            watch=UNWATCHED,
        )

    def _client_of_stub(self, key: StubKey, client: socket.socket) -> None:
        opening = OpenRequest(key.address, key.port).encode()
        self._forwarder.forward(client, opening, _ignore, _ignore)

    def _say_wanted(self) -> None:
        if self._session is not None and self._pool.waiting:
            self._session.connection.send(Wanted(min(self._pool.waiting, 4096)))

    def _scanned(self) -> None:
        if self._session is not None:
            self._session.describe(self.description)
            self._session.count(self._counts.news())

    def _tell(self, added: Sequence[Listener], removed: Sequence[int]) -> None:
        if self._session is not None:
            self._session.delta(tuple(added), tuple(removed))
            if self._session.told.is_too_much:
                self.snapshot(self._session)

    def begin(self, session: _Session) -> None:
        """A desktop is there; it starts from nothing."""
        if self._session is not None:
            self._session.connection.abort("a newer desktop has come")
        self._session = session
        self._orphan.cancel()
        self._stop_lease()
        self._trials.end()
        self._stubs.close_all()
        session.described = self.description
        self._counts.forget()
        session.connection.send(
            Welcome(
                VERSION,
                platform.python_version(),
                platform.release(),
                socket.gethostname(),
                session.described,
            )
        )
        self.snapshot(session)
        self._say_wanted()

    def end(self, session: _Session, reason: str) -> None:
        """A desktop is gone; for LEASE_SECONDS it may come back to its stubs."""
        if session is not self._session:
            return
        log.info("the link ended: %s", reason)
        self._session = None
        self._trials.end()
        if session.said_bye:
            self.finish("the desktop said goodbye")
            return
        self._lease = self._loop.call_later(LEASE_SECONDS, self._stubs.close_all)
        self._orphan = self._loop.call_later(ORPHAN_SECONDS, self.finish, "no desktop came back")

    def snapshot(self, session: _Session) -> None:
        """Send the whole truth as a new generation."""
        self._last_words.forget(self._watcher.listeners.values())
        self._generation += 1
        for part in session.told.snapshot(self._generation, self._watcher.listeners.values()):
            session.connection.send(part)

    def begin_trial(self, session: _Session, trial: Trial) -> None:
        """Take part in a self-test of the desktop's."""
        self._trials.begin(trial, session.connection.send)

    def end_trial(self) -> None:
        """It is over."""
        self._trials.end()

    def condition(self, inquiry: Inquiry) -> Condition:
        """How this agent is."""
        return condition(inquiry.number, self._engine.states())

    def set_limits(self, message: UdpLimits) -> None:
        """Keep UDP flows by these limits from now on."""
        self._limits.idle_seconds = message.idle_seconds
        self._limits.most_flows = message.most_flows

    def _say_results(self, results: tuple[StubResult, ...]) -> None:
        if self._session is not None:
            self._session.say_results(results)

    def set_stubs(self, session: _Session, message: Stubs) -> None:
        """Close and open stubs as told, and answer for each."""
        session.say_results(self._stubs.close(message.closed) + self._stubs.open(message.opened))

    def _stop_lease(self) -> None:
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None


class _Session:
    """One desktop's control session."""

    connection: ControlConnection

    def __init__(self, agent: Agent, stream: socket.socket) -> None:
        self._agent = agent
        self.told = Told()
        self.said_bye = False
        self.described = ""
        loop = asyncio.get_running_loop()
        self._start = loop.create_task(self._run(stream), name="start of a session")

    async def _run(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.connection = await ControlConnection.start(
                stream, beats=False, on_message=self._message, on_end=self._ended
            )
            self._agent.begin(self)

    def delta(self, added: tuple[Listener, ...], removed: tuple[int, ...]) -> None:
        """Tell a change, in parts if it is large."""
        for part in self.told.delta(added, removed):
            self.connection.send(part)

    def describe(self, how: str) -> None:
        """Tell how ports are seen, if that is not what was told last."""
        if how != self.described:
            self.described = how
            self.connection.send(Watching(how))

    def count(self, counts: dict[str, int] | None) -> None:
        """Tell what was counted, if there is news of it."""
        if counts is not None:
            self.connection.send(CountsMessage(counts))

    def say_results(self, results: tuple[StubResult, ...]) -> None:
        """Tell what became of stubs, in parts if there are many."""
        for part in in_parts(results):
            self.connection.send(StubResults(part))

    def _message(self, message: Message) -> None:
        if isinstance(message, Stubs):
            self._agent.set_stubs(self, message)
        elif isinstance(message, UdpLimits):
            self._agent.set_limits(message)
        elif isinstance(message, Resync):
            self._agent.snapshot(self)
        elif isinstance(message, Inquiry):
            self.connection.send(self._agent.condition(message))
        elif isinstance(message, Trial):
            self._agent.begin_trial(self, message)
        elif isinstance(message, TrialEnd):
            self._agent.end_trial()
        elif isinstance(message, Bye):
            self.said_bye = True
            self.connection.close()
        elif not isinstance(message, Beat):
            self.connection.abort(f"unexpected message {type(message).__name__}")

    def _ended(self, reason: str) -> None:
        self._agent.end(self, reason)


def _ignore(flow: Flow) -> None:
    """The desktop counts flows; here nothing depends on their end."""
