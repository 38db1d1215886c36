"""A stream of datagrams under test, what it has told, and its other end, moved by hand.

    World ─ DatagramStream ─▶ socketpair ─▶ Peer, or the stream of another World

Rules: all is in one event loop and on real stream sockets; `world` closes what was opened.

Counterparts: `test_stream_*.py`; `link/datagrams/stream.py` is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from link.datagrams.frames import Frame, Kind, cut, header
from link.datagrams.stream import DatagramStream

__all__ = ["SMALL_BUFFER", "Peer", "Read", "World", "frame", "join", "run", "world"]

SMALL_BUFFER: Final = 1
"""Bytes of SO_SNDBUF asked for; the kernel gives its least (socket(7))."""

STORY_SECONDS: Final = 60.0
"""Longest that a story may take."""


class Read(NamedTuple):
    """A frame that has come."""

    kind: int
    flow: int
    segment: int
    payload: bytes


def read(frames: Sequence[Frame]) -> list[Read]:
    """Frames that stay when what they were cut from is gone."""
    return [Read(f.kind, f.flow, f.segment, bytes(f.payload)) for f in frames]


def frame(flow: int, payload: bytes = b"", kind: Kind = Kind.DATA) -> bytes:
    """A frame as it passes."""
    return header(kind, flow, len(payload), len(payload)) + payload


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run a story. Raises TimeoutError after STORY_SECONDS."""

    async def bounded() -> None:
        async with asyncio.timeout(STORY_SECONDS):
            await story

    asyncio.run(bounded())


class Peer:
    """The other end of a stream, moved by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def take(self, size: int = 1 << 20) -> bool:
        """Read what is there; False at the end of the stream or if nothing is."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return False
        self.data += data
        return bool(data)

    def await_more(self) -> None:
        """Read what comes next: the stream has been written to, and no turn of the loop is needed.

        On Windows a socket pair is a connection, whose bytes take their time.
        """
        select.select([self.sock], [], [], STORY_SECONDS)
        self.take()

    def take_all(self) -> None:
        while self.take():
            pass

    def frames(self) -> list[Read]:
        """The whole frames so far, but for reports, which come by the clock.

        Raises WireError if something else came.
        """
        return [each for each in self._all() if each.kind != Kind.DROPPED]

    @property
    def reports(self) -> list[int]:
        """How many datagrams were dropped, each time that it was told."""
        return [each.flow for each in self._all() if each.kind == Kind.DROPPED]

    def _all(self) -> list[Read]:
        return read(cut(memoryview(self.data))[0])

    @property
    def flows(self) -> list[int]:
        return [each.flow for each in self.frames()]


class World:
    """A stream under test, what it has told, and its peers."""

    def __init__(self) -> None:
        self.received: list[Read] = []
        self.ends: list[str] = []
        self.on_frame: Callable[[], None] = lambda: None
        self.stream = DatagramStream(self._data, self._word, self.ends.append)
        self.peers: list[Peer] = []

    def _data(self, flow: int, segment: int, payload: memoryview) -> None:
        self.received.append(Read(Kind.DATA, flow, segment, bytes(payload)))
        self.on_frame()

    def _word(self, kind: int, flow: int) -> None:
        self.received.append(Read(kind, flow, 0, b""))
        self.on_frame()

    def attach(self, *, is_small: bool = False) -> Peer:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        if is_small:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        self.stream.attach(near)
        self.peers.append(Peer(far))
        return self.peers[-1]

    def is_attached(self) -> bool:
        return self.stream.is_attached

    def send(self, *payloads: bytes, first: int = 0) -> None:
        """Send datagrams together, each of the flow of its place."""
        self.stream.hold()
        for flow, payload in enumerate(payloads, first):
            self.stream.send(Kind.DATA, flow, (payload,), len(payload), len(payload))
        self.stream.flush()

    async def all_sent(self, peer: Peer) -> None:
        """Let the stream write, and the peer read, until nothing waits."""
        while self.stream._backlog:
            peer.take_all()
            await asyncio.sleep(0)
        peer.take_all()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world, closed afterwards with its peers."""
    one = World()
    try:
        yield one
    finally:
        one.stream.close()
        for peer in one.peers:
            peer.sock.close()


def join(one: World, other: World) -> None:
    """Make the two the ends of one stream."""
    for end, sock in zip((one, other), socket.socketpair(), strict=True):
        sock.setblocking(False)
        end.stream.attach(sock)
