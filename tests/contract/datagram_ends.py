"""UDP sockets for tests: those that give what `link.datagrams.sockets` promises, and plain ones.

    plain, client_of ─▶ Mirror (a Listening socket)
                        Dialled (a Connected socket) ─▶ plain

Rules: what is opened here is closed where it was opened, by `with`. An `Inbox` checks that every
train it is handed is well formed. Addresses beyond LOOPBACK are there in a private network only,
once FURTHER are added. To prove another implementation of `DatagramSockets`, add it to SOCKETS.

Counterparts: `conftest.py` has the fixtures; `test_datagram_sockets_*.py`; `udp_world.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

import pytest

from desktop.datagrams.portable import PortableDatagramSockets
from link.datagrams.sockets import (
    Buffer,
    ClientKey,
    Connected,
    DatagramSockets,
    Listening,
    Train,
)
from tests.capabilities import LINUX_KERNEL, POSIX_FILES
from tests.until import until

__all__ = [
    "ADDRESSES",
    "FURTHER",
    "LOOPBACK",
    "OPEN_FILES",
    "PATIENCE",
    "SILENCE",
    "SOCKETS",
    "Dialled",
    "Inbox",
    "MakeSockets",
    "Mirror",
    "Run",
    "client_of",
    "descriptors",
    "dialled",
    "family_of",
    "free_port",
    "hears",
    "linux_sockets",
    "may_use_raw_sockets",
    "mirror",
    "numbered",
    "open_files",
    "opened",
    "plain",
    "receive",
    "turn_the_loop",
]

MakeSockets = Callable[[], DatagramSockets]
Run = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a story; see `conftest.py`."""


def linux_sockets() -> DatagramSockets:
    """Those of Linux. Make them inside the running loop."""
    from link.datagrams.linux import LinuxDatagramSockets

    return LinuxDatagramSockets()


SOCKETS: Final = [
    *([pytest.param(linux_sockets, id="linux")] if LINUX_KERNEL.is_there else []),
    pytest.param(PortableDatagramSockets, id="portable"),
]
"""Every implementation, made inside the running loop. What one may do less: `udp_world.World`."""

PATIENCE: Final = 30.0
"""Seconds that anything may take."""
SILENCE: Final = 0.2
"""Seconds for which nothing comes where nothing may come."""
LOOPBACK: Final = ("127.0.0.1", "::1")
ADDRESSES: Final = ("10.99.0.1", "127.0.0.1", "127.0.0.2", "::1", "fd99::1")
"""Those of a private network: listed ones, each of which a wildcard mirror serves."""
FURTHER: Final = ("10.99.0.1/32", "127.0.0.2/8", "fd99::1/128")
"""Those that a private network does not have by itself."""
OPEN_FILES: Final = "/dev/fd"
"""A folder with the numbers of this process's descriptors, on Linux and macOS."""
ROOM: Final = 4 << 20
"""Bytes of socket buffer that a test's own sockets ask for."""


async def turn_the_loop() -> None:
    """Let everything run that is due: descriptors are closed within a few turns."""
    for _ in range(10):
        await asyncio.sleep(0)


def descriptors() -> int:
    """Descriptors that this process has open; 0 where nothing lists them."""
    return len(os.listdir(OPEN_FILES)) if POSIX_FILES.is_there else 0


def open_files() -> set[tuple[str, str]]:
    """Descriptors with what each is of. What a failed test has left may go at any time."""
    files = set()
    for name in os.listdir(OPEN_FILES) if POSIX_FILES.is_there else ():
        with contextlib.suppress(OSError):  # that by which they were listed
            status = os.fstat(int(name))
            files.add((name, f"{status.st_mode:o} {status.st_dev:x}:{status.st_ino}"))
    return files


def may_use_raw_sockets() -> bool:
    """True where ICMP may be sent by hand (CAP_NET_RAW)."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except PermissionError:
        return False
    return True


def family_of(address: str) -> int:
    """The address family of a literal."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


# The other ends: plain sockets


def plain(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket that is bound, and never waits."""
    family = family_of(address)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # macOS sends no more at once than fits
            sock.setsockopt(socket.SOL_SOCKET, option, ROOM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def client_of(address: str, port: int) -> socket.socket:
    """A connected client: it hears that address and port only."""
    sock = plain("::" if ":" in address else "0.0.0.0")
    sock.connect((address, port))
    return sock


def free_port(address: str = "127.0.0.1") -> int:
    """A UDP port that was free a moment ago."""
    with plain(address) as sock:
        return int(sock.getsockname()[1])


async def receive(sock: socket.socket) -> tuple[bytes, Any]:
    """The next datagram and its sender. Raises what the socket has to say."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(BlockingIOError):
                return sock.recvfrom(1 << 17)
            readable = asyncio.Event()
            loop.add_reader(sock.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(sock.fileno())


async def hears(sock: socket.socket, count: int = 1) -> list[bytes]:
    """The next datagrams of a plain socket."""
    return [(await receive(sock))[0] for _ in range(count)]


# What is tested, and what it hands on


class Inbox:
    """Takes trains as `OnTrains`, copies and cuts them, and checks that they are well formed."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[ClientKey, bytes]] = []
        self.on_train: Callable[[Train, bytes], None] = lambda _train, _data: None

    def __call__(self, trains: Sequence[Train]) -> None:
        assert trains
        for train in trains:
            data = b"".join(train.parts)
            assert len(data) == train.size
            assert (train.segment == 0) == (train.size == 0)
            assert train.segment <= 65_535
            cuts = range(0, train.size, train.segment) if train.segment else [0]
            pieces = [data[start : start + train.segment] for start in cuts]
            assert len(pieces) == train.datagrams
            self.datagrams += [(train.key, piece) for piece in pieces]
            self.on_train(train, data)

    def take_lone(self, key: ClientKey, parts: Sequence[Buffer], size: int, segment: int) -> None:
        """The same for a train that a look found alone."""
        self([Train(key, parts, size, segment)])

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.datagrams]

    async def wait(self, count: int = 1) -> list[bytes]:
        """The payloads, when there are so many."""
        await until(lambda: len(self.datagrams) >= count)
        return self.payloads


class Mirror:
    """A Listening socket; what is sent to it is echoed if `echoes`."""

    def __init__(
        self, sockets: DatagramSockets, address: str, port: int = 0, *, echoes: bool = True
    ) -> None:
        self.address = address
        self.port = port or free_port(address)
        self.inbox = Inbox()
        self.unsent = 0
        if echoes:
            self.inbox.on_train = self.echo
        self.listening: Listening = sockets.listen(address, self.port, self.inbox)
        self.listening.on_lone = self.inbox.take_lone

    def echo(self, train: Train, data: bytes) -> None:
        self.answer(train.key, data, train.segment)

    def answer(self, key: ClientKey, data: bytes, segment: int) -> None:
        self.unsent += self.listening.send(self.listening.peer(key), memoryview(data), segment)


class Dialled:
    """A Connected socket."""

    def __init__(self, sockets: DatagramSockets, address: str, port: int) -> None:
        self.inbox = Inbox()
        self.refusals = 0
        self.connected: Connected = sockets.connect(address, port, self.inbox, self._refused)
        self.connected.on_lone = self.inbox.take_lone

    def _refused(self) -> None:
        self.refusals += 1

    def send(self, data: bytes, segment: int | None = None) -> int:
        return self.connected.send(memoryview(data), len(data) if segment is None else segment)


@contextlib.asynccontextmanager
async def opened(make_sockets: MakeSockets) -> AsyncIterator[DatagramSockets]:
    """Sockets, closed afterwards, and once more."""
    sockets = make_sockets()
    try:
        yield sockets
    finally:
        sockets.close()
        sockets.close()


@contextlib.asynccontextmanager
async def mirror(
    make_sockets: MakeSockets, address: str = "127.0.0.1", port: int = 0, *, echoes: bool = True
) -> AsyncIterator[Mirror]:
    """A Listening socket with sockets of its own."""
    async with opened(make_sockets) as sockets:
        one = Mirror(sockets, address, port, echoes=echoes)
        try:
            yield one
        finally:
            one.listening.close()


@contextlib.asynccontextmanager
async def dialled(make_sockets: MakeSockets, address: str, port: int) -> AsyncIterator[Dialled]:
    """A Connected socket with sockets of its own."""
    async with opened(make_sockets) as sockets:
        one = Dialled(sockets, address, port)
        try:
            yield one
        finally:
            one.connected.close()


def numbered(count: int, size: int = 64) -> list[bytes]:
    """Payloads of `size` bytes, no two the same, which sort as they are numbered."""
    return [number.to_bytes(4, "big").ljust(size, b".") for number in range(count)]
