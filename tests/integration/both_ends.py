"""Both ends of a link in one process, for tests: the desktop's without its rules, and an agent.

    Desktop(AgentLink, pool, relay, sockets) ══ any transport ══ Agent

Counterparts: `test_link.py`, `test_link_udp.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

from desktop.daemon.link import AgentLink
from desktop.daemon.traffic import Traffic
from desktop.daemon.udp_servers import UdpServers
from desktop.mirror.model import Binding, Origin, Target
from desktop.transports.memory import MemoryTransport
from desktop.transports.stdio import StdioTransport
from desktop.transports.tcp import TcpTransport
from desktop.transports.transport import Transport
from link.acceptor import Acceptor, listen_tcp
from link.datagrams.flows import Limits
from link.datagrams.linux import LinuxDatagramSockets
from link.handshake import SECRET_SIZE
from link.messages import Counts, Message
from link.opening import answer, refuse
from link.pool import StreamPool
from link.relay.splice import SpliceRelay
from link.wire import OpenRequest
from tests.contract.transport_ways import end_of, program_with_streams
from tests.quiet_ports import quiet_ports
from vmagent.agent import Agent, AgentConfig

__all__ = ["KINDS", "PATIENCE", "Both", "Desktop", "ask", "both", "free_port"]

KINDS: Final = ["tcp", "memory", "stdio"]
"""The transports that `both` knows."""

SECRET = bytes(range(SECRET_SIZE))
PATIENCE = 30.0


class Desktop:
    """What a daemon does with a link, without its rules."""

    def __init__(self, transport: Transport, secret: bytes = SECRET) -> None:
        self.relay = SpliceRelay()
        self.pool = StreamPool(lambda: self.link.need(), self.relay.readiness)
        self.link = AgentLink(transport, secret, self.pool, self)
        self.counts: dict[str, int] = {}
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.target: tuple[str, int] | None = None
        self.running: asyncio.Task[str] | None = None
        self.sockets = LinuxDatagramSockets()
        self.limits = Limits()
        self.traffic = Traffic()
        self.udp_servers = UdpServers(self.sockets, self.limits, self.traffic)

    def message(self, message: Message) -> None:
        if isinstance(message, Counts):  # they come when they will
            self.counts = message.counts
        else:
            self.messages.put_nowait(message)

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        if self.target is None:
            refuse(self.relay, stream)
        elif request.protocol == "udp":
            binding = Binding(Origin.HOST, "udp", request.address, request.port, "vm")
            self.udp_servers.opened(binding, stream, Target(*self.target))
        else:
            answer(self.relay, stream, *self.target, lambda _flow: None)

    async def next(self) -> Message:
        return await asyncio.wait_for(self.messages.get(), PATIENCE)

    async def start(self) -> None:
        await self.link.open()
        self.running = asyncio.create_task(self.link.run())

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
        self.udp_servers.close_all()
        self.sockets.close()
        self.pool.close()
        await self.relay.aclose()


class Both:
    """A running agent, a desktop, and a transport between them."""

    def __init__(self, agent: Agent, task: asyncio.Task[None], transport: Transport) -> None:
        self.agent = agent
        self.task = task
        self.transport = transport
        self.desktop = Desktop(transport)


@contextlib.asynccontextmanager
async def both(kind: str) -> AsyncIterator[Both]:
    agent = Agent(AgentConfig(SECRET, ()), carries_reset=kind != "stdio")
    with _way(kind, agent) as transport:
        task = asyncio.create_task(agent.run())
        ends = Both(agent, task, transport)
        try:
            yield ends
        finally:
            await ends.desktop.stop()
            agent.finish("end of the test")
            await asyncio.wait_for(task, PATIENCE)
    if isinstance(transport, StdioTransport):
        await end_of(transport)


@contextlib.contextmanager
def _way(kind: str, agent: Agent) -> Iterator[Transport]:
    if kind == "memory":
        yield MemoryTransport(agent.adopt)
    elif kind == "tcp":
        with contextlib.closing(Acceptor(listen_tcp("127.0.0.1", 0), agent.adopt)) as acceptor:
            yield TcpTransport(*acceptor.address)
    else:
        with program_with_streams(agent.adopt) as program:
            yield StdioTransport(program)


async def ask(sock: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, data)
    return await asyncio.wait_for(loop.sock_recv(sock, 65536), PATIENCE)


def free_port() -> int:
    """Not one that the kernel chooses: any program may be given it meanwhile."""
    return quiet_ports(1)
