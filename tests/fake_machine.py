"""Machines in this very process: real links to them, agents that speak the protocol, no containers.

Rules: what listens there is what a test says. A flow through a mirror is dialled to `server`, a
port of this computer, whatever it asks for, since the port it asks for is the mirror's own here;
only self-tests, whose ports are no mirror's, go where they ask to. Stubs are opened in word only.

Counterparts: `desktop.machines.machine`; `daemon_world.py`, where a daemon attaches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from typing import Final

from desktop.datagrams.select import open_datagram_sockets
from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.found.model import Found, Sighting
from desktop.machines.machine import AgentHandle, Machine, Progress, WindowsContainersError
from desktop.machines.process import Process
from desktop.transports.memory import MemoryTransport
from link.acceptor import listen_tcp
from link.control import ControlConnection
from link.datagrams.back import Back
from link.datagrams.flow import UNWATCHED
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.handshake import Role
from link.listener import Container, Listener
from link.messages import (
    Bye,
    Condition,
    Delta,
    EngineState,
    Inquiry,
    Message,
    Resync,
    Snapshot,
    StubKey,
    StubResult,
    StubResults,
    Stubs,
    Trial,
    TrialEnd,
    Welcome,
)
from link.opening import Forwarder, OpenReader, answer
from link.pool import StreamPool
from link.relay.relay import Flow
from link.relay.select import open_relay
from link.stream import Stream
from link.version import VERSION
from link.wire import OpenRequest
from vmagent.door import Door
from vmagent.trials import Trials

__all__ = ["FILES", "FakeMachine", "FakeRegistry"]

FILES: Final = 1024
"""Files that such an agent may open, on any system."""


class FakeMachine(Machine):
    """See the module.

    Attributes:
        problem: why it cannot be started; "" if it can.
        has_windows_containers: its engine has been told to run those.
        is_deaf: its agent does not say how it is, and takes no part in self-tests.
        server: the port of this computer that flows are dialled to; 0: none.
        agent: the one that runs, if any.
    """

    kind = "fake"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.problem = ""
        self.has_windows_containers = False
        self.is_deaf = False
        self.server = 0
        self.agent: _Agent | None = None
        self.listeners: dict[int, Listener] = {}
        self._is_running = False
        self._ids = itertools.count(1)

    async def state(self) -> str:
        """See `Machine`."""
        await asyncio.sleep(0)
        return "running" if self._is_running else "stopped"

    async def start(self, progress: Progress) -> None:
        """See `Machine`."""
        if self.problem:
            raise MachineUnreachableError(f"{self.name} does not start: {self.problem}", "wait")
        progress(f"starting {self.name}")
        self._is_running = True

    async def stop(self, progress: Progress) -> None:
        """See `Machine`."""
        progress(f"stopping {self.name}")
        self.die()

    def die(self) -> None:
        """End at once, with the agent and every stream to it."""
        self._is_running = False
        if self.agent is not None:
            self.agent.kill()

    def docker_host(self) -> str:
        """See `Machine`."""
        return f"unix:///nowhere/{self.name}.sock"

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        if not self._is_running:
            raise MachineUnreachableError(f"{self.name} does not run", "start it")
        self.agent = _Agent(self, secret)
        return AgentHandle(self.agent, MemoryTransport(self.agent.adopt))

    def appear(self, *ports: int, address: str = "127.0.0.1", container: str = "web") -> None:
        """Let a container listen on these TCP ports."""
        whose = Container("c0ffee" + "0" * 58, container, "docker")
        for port in ports:
            listener = Listener(next(self._ids), "tcp", address, port, container=whose)
            self.listeners[listener.id] = listener
            self._tell(added=(listener,))

    def vanish(self, *ports: int) -> None:
        """Let it listen there no more."""
        for listener in [each for each in self.listeners.values() if each.port in ports]:
            del self.listeners[listener.id]
            self._tell(removed=(listener.id,))

    def _tell(self, added: tuple[Listener, ...] = (), removed: tuple[int, ...] = ()) -> None:
        if self.agent is not None:
            self.agent.tell(added, removed)


class FakeRegistry:
    """The machines, in the place of `desktop.machines.registry.Registry`."""

    def __init__(self, *names: str) -> None:
        self.machines = {name: FakeMachine(name) for name in names}

    def __call__(self, *_: object) -> FakeRegistry:
        return self

    async def find(self) -> Sighting:
        """See `Registry`."""
        found = [
            Found(
                each.name,
                each.kind,
                await each.state(),
                has_windows_containers=each.has_windows_containers,
            )
            for each in self.sandboxes()
        ]
        return Sighting(tuple(found))

    async def get(self, name: str) -> FakeMachine:
        """See `Registry`."""
        if name not in self.machines:
            raise UsageError(f"unknown machine: {name}", f"known: {', '.join(self.machines)}")
        return self.machines[name]

    async def to_attach(self, name: str) -> FakeMachine:
        """See `Registry`."""
        machine = await self.get(name)
        if machine.has_windows_containers:
            raise WindowsContainersError(name)
        return machine

    async def choose(self) -> str:
        """See `Registry`: the first, of those that run if any does."""
        running = [each.name for each in self.sandboxes() if await each.state() == "running"]
        return [*running, *self.machines][0]

    def sandboxes(self) -> list[FakeMachine]:
        """See `Registry`."""
        return list(self.machines.values())


class _Agent(Process):
    """An agent and the process that it is: it ends when its input does."""

    def __init__(self, machine: FakeMachine, secret: bytes) -> None:
        self.stream, self._far = socket.socketpair()
        self.errors = asyncio.StreamReader()
        self._machine = machine
        self._door = Door(secret, self._enter, files=FILES)
        self._relay = open_relay()
        self._readers: set[OpenReader] = set()
        self._pool = StreamPool(lambda: None, self._relay.readiness)
        self._forwarder = Forwarder(self._pool, self._relay)
        self._sockets = open_datagram_sockets("auto")
        self._backs: set[Back] = set()
        self._trials = Trials(self._client_of_stub, self._front_of_stub, listen_tcp)
        self._control: ControlConnection | None = None
        self._starts: set[asyncio.Task[None]] = set()
        self._sequence = 0
        self._status: int | None = None
        self._ended = asyncio.Event()

    @property
    def returncode(self) -> int | None:
        """See `Process`."""
        return self._status

    def end_input(self) -> None:
        """See `Process`."""
        self._end(0)

    def kill(self) -> None:
        """See `Process`."""
        self._end(-9)

    async def wait(self) -> int:
        """See `Process`."""
        await self._ended.wait()
        await self._relay.aclose()
        self.stream.close()
        return self._status or 0

    def adopt(self, stream: socket.socket) -> None:
        """A stream of the desktop's."""
        if self._status is None:
            self._door.admit(stream)
        else:
            stream.close()

    def cut(self) -> None:
        """Let the link be lost; the agent runs on."""
        if self._control is not None:
            self._control.abort("a test cut it")

    def tell(self, added: tuple[Listener, ...], removed: tuple[int, ...]) -> None:
        """What changed in the machine."""
        self._sequence += 1
        whose = {each.container for each in added if each.container}
        self._say(Delta(1, self._sequence, added, removed, tuple(whose)))

    def _end(self, status: int) -> None:
        if self._status is not None:
            return
        self._status = status
        self._door.close()
        self.cut()
        for reader in list(self._readers):
            reader.close()
        self._trials.end()
        self._pool.close()
        for back in list(self._backs):
            back.close()
        self._sockets.close()
        self._far.close()
        self.errors.feed_eof()
        self._ended.set()

    def _enter(self, stream: socket.socket, role: Role) -> None:
        if role is Role.CONTROL:
            start = asyncio.get_running_loop().create_task(self._begin(stream), name="session")
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)
        elif role is Role.PARKED:
            self._pool.put(Stream.of(stream))
        else:
            outbound = Stream.of(stream)
            outbound.home = self._await_opening
            self._await_opening(outbound)

    async def _begin(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._control = await ControlConnection.start(
                stream, beats=False, on_message=self._message, on_end=lambda _reason: None
            )
            self._say(Welcome(VERSION, "3.9", "6.1", self._machine.name, "word of mouth"))
            self._snapshot()

    def _snapshot(self) -> None:
        self._sequence = 0
        listeners = tuple(self._machine.listeners.values())
        whose = {each.container for each in listeners if each.container}
        self._say(Snapshot(1, True, True, listeners, tuple(whose)))

    def _say(self, message: Message) -> None:
        if self._control is not None:
            self._control.send(message)

    def _message(self, message: Message) -> None:
        if isinstance(message, Stubs):
            opened = [StubResult(key, True) for key in message.opened]
            closed = [StubResult(key, False) for key in message.closed]
            self._say(StubResults((*closed, *opened)))
        elif isinstance(message, Resync):
            self._snapshot()
        elif isinstance(message, Inquiry):
            self._say_condition(message.number)
        elif isinstance(message, Trial) and not self._machine.is_deaf:
            self._trials.begin(message, self._say)
        elif isinstance(message, TrialEnd):
            self._trials.end()
        elif isinstance(message, Bye):
            self.cut()

    def _say_condition(self, number: int) -> None:
        if self._machine.is_deaf:
            return
        engines = (EngineState("/run/docker.sock", ""),)
        now = int(time.time() * 1000)
        self._say(Condition(number, now, 0, (1 << 41) - 1, 1024, 10, engines))

    def _await_opening(self, stream: Stream) -> None:
        readiness = self._relay.readiness
        self._readers.add(OpenReader(stream, self._opened, self._readers.discard, readiness))

    def _opened(self, stream: socket.socket, request: OpenRequest) -> None:
        address, port, is_udp = request.address, request.port, request.protocol == "udp"
        if is_udp:
            limits, end = Limits(), self._backs.discard
            back = Back(
                self._sockets, stream, address, port, limits=limits, watch=UNWATCHED, on_end=end
            )
            self._backs.add(back)
        else:
            port = port if port in self._trials.ports else self._machine.server
            answer(self._relay, stream, "127.0.0.1", port, _ignore)

    def _client_of_stub(self, key: StubKey, client: socket.socket) -> None:
        opening = OpenRequest(key.address, key.port).encode()
        self._forwarder.forward(client, opening, _ignore, _ignore)

    def _front_of_stub(self, key: StubKey, port: int) -> Front:
        request = OpenRequest(key.address, key.port, "udp")
        return Front(
            self._sockets,
            key.address,
            port,
            target=lambda: request,
            pool=self._pool,
            limits=Limits(),
            watch=UNWATCHED,
        )


def _ignore(flow: Flow) -> None:
    """The daemon counts flows."""
