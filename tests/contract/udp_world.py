"""The whole path of UDP in one process: clients, mirrors, stream, servers, and what must hold.

    Client ─▶ Front ─▶ StreamPool ─▶ TCP stream ─▶ OpenReader ─▶ Back ─▶ Server

Rules: everything is on loopback and in one event loop. `World.aclose` proves that nothing is left:
every flow that began has ended once, no exception reached the loop, no descriptor or task remains.

Counterparts: `datagram_ends.py` has the kinds of sockets, `conftest.py` the fixture that tells a
story in a world; `test_udp_flow_*.py`, `tests/ports_stage.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

from link.datagrams.back import Back
from link.datagrams.flow import Watch
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.dial import tune_local
from link.opening import OpenReader
from link.pool import StreamPool
from link.relay.relay import Flow
from link.wire import OpenRequest
from tests.contract.datagram_ends import (
    PATIENCE,
    MakeSockets,
    family_of,
    free_port,
    may_use_raw_sockets,
    open_files,
)
from tests.until import until

__all__ = [
    "LARGEST",
    "Client",
    "Heard",
    "Ledger",
    "Server",
    "Story",
    "Tell",
    "World",
    "stream_pair",
    "world",
]

Tell = Callable[..., None]
"""Runs a story in a world that is made with the given limits or address."""

LARGEST: Final = 65_507
"""Bytes of the largest datagram over IPv4 (udp(7))."""

ROOM_BYTES: Final = 8 << 20
"""Receive buffer of clients and servers, so that what is lost was not lost by them."""
SO_RCVBUFFORCE: Final = 33
"""asm-generic/socket.h."""


def stream_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection, set as those of a link are."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    for end in (near, far):
        tune_local(end)
        end.setblocking(False)
    return near, far


def _make_room(sock: socket.socket, option: int) -> None:
    """Linux gives what it allows; macOS refuses more than that (kern.ipc.maxsockbuf)."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, ROOM_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, option, ROOM_BYTES // 4)


class Heard(NamedTuple):
    """A datagram, and where it came from."""

    data: bytes
    sender: tuple[Any, ...]


class Endpoint:
    """A plain UDP socket whose datagrams are taken as they come."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        _make_room(self.sock, socket.SO_SNDBUF)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        except OSError:  # not root, or not Linux
            _make_room(self.sock, socket.SO_RCVBUF)
        self.sock.bind((address, port))
        self.refusals = 0
        self.inbox: asyncio.Queue[Heard] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._read)

    async def hear(self) -> bytes:
        """The next datagram."""
        return (await asyncio.wait_for(self.inbox.get(), PATIENCE)).data

    async def hear_many(self, count: int) -> list[bytes]:
        """The next datagrams."""
        return [await self.hear() for _ in range(count)]

    def close(self) -> None:
        """Stop. May be called twice."""
        if self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
            self.sock.close()

    def _read(self) -> None:
        while self.sock.fileno() >= 0:
            try:
                data, sender = self.sock.recvfrom(1 << 16)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                self.refused()
            else:
                self.heard(Heard(data, sender))

    def refused(self) -> None:
        """A call told of a refusal. uvloop stops looking at a socket that had an error."""
        self.refusals += 1
        asyncio.get_running_loop().remove_reader(self.sock.fileno())
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._read)

    def heard(self, heard: Heard) -> None:
        """A datagram has come."""
        self.inbox.put_nowait(heard)


class Client(Endpoint):
    """Speaks to a mirror, and hears from nobody else."""

    def __init__(self, address: str, port: int, *, source: str = "", source_port: int = 0) -> None:
        super().__init__(source or ("::1" if ":" in address else "127.0.0.1"), source_port)
        self.sock.connect((address, port))

    def say(self, *datagrams: bytes) -> None:
        """Send datagrams, each again for as long as the call only told of a refusal."""
        for data in datagrams:
            while not self._tried(data):
                self.refused()

    async def ask(self, data: bytes) -> bytes:
        """Send a datagram, and hear one."""
        self.say(data)
        return await self.hear()

    def _tried(self, data: bytes) -> bool:
        try:
            self.sock.send(data)
        except ConnectionRefusedError:
            return False
        return True


class Server(Endpoint):
    """Answers every datagram with its own name before it, unless it is told not to."""

    def __init__(self, name: bytes = b"", address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(address, port)
        self.name = name
        self.answers = True
        self.everything: list[Heard] = []
        self.port = int(self.sock.getsockname()[1])

    @property
    def sources(self) -> list[tuple[Any, ...]]:
        """Where datagrams came from, each once, in the order of their first."""
        return list(dict.fromkeys(heard.sender for heard in self.everything))

    @property
    def words(self) -> list[bytes]:
        """All datagrams so far."""
        return [heard.data for heard in self.everything]

    def heard(self, heard: Heard) -> None:
        """See `Endpoint.heard`."""
        self.everything.append(heard)
        super().heard(heard)
        if self.answers:
            self.sock.sendto(self.name + heard.data, heard.sender)


class Ledger:
    """What a `Watch` was told. Complains of a flow that begins or ends twice."""

    def __init__(self) -> None:
        self.started: list[Flow] = []
        self.live: dict[Flow, None] = {}
        self.ended: dict[Flow, float] = {}
        self.evicted = 0
        self.peak = 0
        self.on_start: Callable[[], None] = lambda: None
        self.watch = Watch(self._started, self._ended, self._evicted)

    def _started(self, flow: Flow) -> None:
        assert flow not in self.live, "a flow began twice"
        assert flow not in self.ended, "a flow began after its end"
        self.started.append(flow)
        self.live[flow] = None
        self.peak = max(self.peak, len(self.live))
        self.on_start()

    def _ended(self, flow: Flow) -> None:
        assert flow in self.live, "a flow ended that was not there"
        del self.live[flow]
        self.ended[flow] = asyncio.get_running_loop().time()

    def _evicted(self, count: int) -> None:
        self.evicted += count

    @property
    def first_bytes(self) -> int:
        """Bytes from clients, of all flows."""
        return sum(flow.from_first for flow in self.started)

    @property
    def second_bytes(self) -> int:
        """Bytes from servers, of all flows."""
        return sum(flow.from_second for flow in self.started)


class World:
    """Mirrors that lead to `target`, by default a server that answers; see the module.

    A stream is made whenever one is wanted, while `makes_streams`.

    Attributes:
        refuses: true if a client can be told that nobody serves it (ICMP), which portable sockets
            cannot and Linux's need a right for.
        knows_all_of_loopback: true if a wildcard is any address of 127.0.0.0/8. Portable sockets
            know only those that the system lists.
        asked: how often a mirror has asked where a flow leads.
        descriptors_per_flow: most descriptors for each flow that there may be. Portable sockets
            that were closed keep theirs until the loop has gone round, while others come.
    """

    def __init__(
        self, make_sockets: MakeSockets, front_limits: Limits, back_limits: Limits, address: str
    ) -> None:
        loop = asyncio.get_running_loop()
        self.faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.front_limits = front_limits
        self.back_limits = back_limits
        self.at_front, self.at_back = Ledger(), Ledger()
        self.front_sockets, self.back_sockets = make_sockets(), make_sockets()
        is_linux = self.front_sockets.name == "linux"
        self.refuses = is_linux and may_use_raw_sockets()
        self.knows_all_of_loopback = is_linux
        self.descriptors_per_flow = 1 if is_linux else 3
        self.pool = StreamPool(self._wanted)
        self.makes_streams = True
        self.opened: list[OpenRequest] = []
        self.backs: list[Back] = []
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._readers: set[OpenReader] = set()
        self._endpoints: list[Endpoint] = []
        self.server = self.serve(address=address)
        self.target: OpenRequest | None = OpenRequest(address, self.server.port, "udp")
        self.address = address
        self.asked = 0
        self.fronts: list[Front] = []
        self.front, self.port = self.mirror(address)

    def mirror(self, address: str) -> tuple[Front, int]:
        """Another mirror, and its port."""
        for _ in range(20):
            port = free_port(address)
            try:
                front = Front(
                    self.front_sockets,
                    address,
                    port,
                    target=self._where,
                    pool=self.pool,
                    limits=self.front_limits,
                    watch=self.at_front.watch,
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                self.fronts.append(front)
                return front, port
        raise AssertionError("no port was free")

    def client(self, address: str = "", port: int = 0, **source: Any) -> Client:
        """A client of the first mirror, or of another."""
        client = Client(address or self.address, port or self.port, **source)
        self._endpoints.append(client)
        return client

    def clients(self, count: int) -> list[Client]:
        """Several."""
        return [self.client() for _ in range(count)]

    def serve(self, name: bytes = b"", address: str = "127.0.0.1", port: int = 0) -> Server:
        """Another server."""
        server = Server(name, address, port)
        self._endpoints.append(server)
        return server

    def lead_to(self, server: Server) -> None:
        """From now on mirrors lead to `server`."""
        self.target = OpenRequest(self.address, server.port, "udp")

    async def refused(self, client: Client, number: int = 1) -> None:
        """See that a client has been refused so often, where it can be told."""
        if self.refuses:
            await until(lambda: client.refusals >= number)

    def _where(self) -> OpenRequest | None:
        self.asked += 1
        return self.target

    # ---- streams

    def add_stream(self) -> None:
        """Give the pool a stream, whose other end waits for its opening."""
        near, far = stream_pair()
        self._lines.append((near, far))
        self._readers.add(OpenReader(far, self._open, self._readers.discard))
        self.pool.put(near)

    def add_peer(self) -> socket.socket:
        """Give the pool a stream, whose other end the test moves by hand."""
        near, far = stream_pair()
        self._lines.append((near, far))
        self.pool.put(near)
        return far

    def reach_back(self) -> socket.socket:
        """The other end of a stream that was opened to the server, for the test to move."""
        near, far = stream_pair()
        self._lines.append((near, far))
        self._open(far, OpenRequest(self.address, self.server.port, "udp"))
        return near

    def break_streams(self) -> None:
        """Every stream ends."""
        for line in self._lines:
            for end in line:
                if end.fileno() >= 0:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    async def lose_streams(self) -> None:
        """Every stream ends, and both ends know. Nobody may speak meanwhile."""
        self.break_streams()
        await until(lambda: not self.backs)
        await until(lambda: not any(front._stream.is_attached for front in self.fronts))

    def wait_for_bytes_on_streams(self) -> None:
        """Wait without a turn of the loop until the mirrors' end of a stream has something."""
        ends = [near for near, _ in self._lines if near.fileno() >= 0]
        assert select.select(ends, [], [], PATIENCE)[0], "nothing came over a stream"

    def _wanted(self) -> None:
        if self.makes_streams:
            asyncio.get_running_loop().call_soon(self._make_stream)

    def _make_stream(self) -> None:
        if self.makes_streams and (self.pool.waiting or not self.pool.idle):
            self.add_stream()

    def _open(self, stream: socket.socket, request: OpenRequest) -> None:
        self.opened.append(request)
        back = Back(
            self.back_sockets,
            stream,
            request.address,
            request.port,
            limits=self.back_limits,
            watch=self.at_back.watch,
            on_end=self.backs.remove,
        )
        self.backs.append(back)

    # ---- the end

    def close_ends(self) -> None:
        """Close mirrors and what is behind them; clients and servers live on."""
        self.makes_streams = False
        for front in self.fronts:
            front.close()
        for back in self.backs:
            back.close()
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self.pool.close()
        self.front_sockets.close()
        self.back_sockets.close()

    async def aclose(self) -> None:
        """Close everything, and see that nothing is left."""
        self.close_ends()
        for endpoint in self._endpoints:
            endpoint.close()
        for line in self._lines:
            for end in line:
                end.close()
        for ledger in (self.at_front, self.at_back):
            assert not ledger.live, "flows that began have not ended"
            assert len(ledger.ended) == len(ledger.started)
        assert not self.faults, self.faults


Story = Callable[[World], Awaitable[None]]
"""What happens in a world."""


@contextlib.asynccontextmanager
async def world(
    make_sockets: MakeSockets,
    *,
    limits: Limits | None = None,
    back_limits: Limits | None = None,
    address: str = "127.0.0.1",
) -> AsyncIterator[World]:
    """A world; what is wrong at its end is an error, if nothing was before."""
    await asyncio.sleep(0)
    before, tasks = open_files(), asyncio.all_tasks()
    one = World(make_sockets, limits or Limits(), back_limits or limits or Limits(), address)
    try:
        yield one
    except BaseException:
        with contextlib.suppress(AssertionError):
            await one.aclose()
        for fault in one.faults:
            asyncio.get_running_loop().default_exception_handler(fault)
        raise
    await one.aclose()
    await until(lambda: asyncio.all_tasks() == tasks)
    await until(lambda: open_files() <= before)
