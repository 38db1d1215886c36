"""Where the tests of relays play: a client and a server, and a flow between them in a stream.

    client ─▶ Ends.opener ─ forward ══ stream ══▶ OpenReader ─ serve ─ Ends.listener ─▶ server

Both relays run in the test's loop; every pair of relays is a variant, on every loop that a relay
may meet, and once more with streams that go through a tunnel, which carries no reset. A pair that
cannot be here, asked for by name, skips the test.

Rules: whoever counts the bytes under way fixes the room of all sockets. Otherwise the kernel lets
each hold what it finds fit at the moment, which may be net.ipv4.tcp_rmem's most: 32 MiB, say.
Counterparts: `test_relays.py`, `test_relay_sizes.py`, `test_relay_streams.py`, `tunnel.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

import pytest

from link.dial import dial
from link.opening import OpenReader
from link.relay.portable import PortableRelay
from link.relay.relay import Flow, Relay, linger_not
from link.stream import Stream
from link.wire import OpenRequest
from tests.capabilities import LINUX_KERNEL
from tests.contract.relay_sizes import PIPE_SIZE
from tests.contract.tunnel import Tunnels
from tests.loops import EVERY_LOOP

__all__ = [
    "OPENING",
    "PAIRS",
    "PATIENCE",
    "Ends",
    "Joined",
    "MakeEnds",
    "Run",
    "joined",
    "make_ends",
    "refused",
    "run_on_loop",
    "streams",
    "tcp_pair",
]

PATIENCE: Final = 30.0
STORY_SECONDS: Final = 100.0
"""Seconds after which something hangs: far more than it takes a computer that is busy otherwise."""
PIECE: Final = 1 << 18
"""Most bytes that a test takes at once."""
HELD_TURNS: Final = 100
"""Turns of the loop in which a relay leaves alone what it could read. Reading takes one or two."""
RELAY_ROOM: Final = PIPE_SIZE + PIECE
"""Most bytes that one relay may hold of one direction: a pipe, and what was copied before it."""
OPENING: Final = OpenRequest("127.0.0.1", 80).encode()

MakeRelay = Callable[[], Relay]
Run = Callable[[Coroutine[Any, Any, None]], None]


def _relays() -> dict[str, MakeRelay]:
    if not LINUX_KERNEL.is_there:
        return {"portable": PortableRelay}
    from link.relay.kernel import unsent_bytes
    from link.relay.splice import SpliceRelay

    return {"splice": SpliceRelay, "portable": lambda: PortableRelay(unsent_bytes)}


RELAYS: Final = _relays()


class Ends:
    """The relays of both ends, and the streams between them, which may lead through a tunnel.

    Attributes:
        room: bytes to ask for as the room of each socket; None: what the kernel finds fit.
        most: bytes that these sockets and relays may hold together of one direction of a flow.
    """

    def __init__(self, opener: Relay, listener: Relay, *, is_tunnelled: bool = False) -> None:
        self.opener = opener
        self.listener = listener
        self.room: int | None = None
        self.most = 2 * RELAY_ROOM
        self._tunnels = Tunnels() if is_tunnelled else None

    @property
    def count(self) -> int:
        """Flows at either end."""
        return self.opener.count + self.listener.count

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Two connected sockets that do not block, with that room."""
        near, far = tcp_pair()
        if self.room is not None:
            for end, option in itertools.product((near, far), (socket.SO_SNDBUF, socket.SO_RCVBUF)):
                end.setsockopt(socket.SOL_SOCKET, option, self.room)
            self.most += near.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            self.most += far.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        return near, far

    def streams(self) -> tuple[Stream, Stream]:
        """Both ends of a new stream."""
        near, far = self.pair()
        if self._tunnels is None:
            return Stream.of(near), Stream.of(far)
        entry, (exit_, far) = far, self.pair()
        self._tunnels.carry(entry, exit_)
        return Stream.of(near, may_be_raw=False), Stream.of(far, may_be_raw=False)

    async def cut(self) -> None:
        """Let the tunnel go, with what streams lead through it."""
        assert self._tunnels is not None
        await self._tunnels.cut()

    async def aclose(self) -> None:
        """Close both."""
        await self.opener.aclose()
        await self.listener.aclose()
        if self._tunnels is not None:
            await self._tunnels.aclose()


MakeEnds = Callable[[], Ends]


def _pair(opener: str, listener: str, *, is_tunnelled: bool) -> MakeEnds:
    return lambda: Ends(RELAYS[opener](), RELAYS[listener](), is_tunnelled=is_tunnelled)


class _Pairs(dict[str, MakeEnds]):
    def __missing__(self, name: str) -> MakeEnds:
        return lambda: pytest.skip(f"there are no relays {name} here: {LINUX_KERNEL.reason}")


PAIRS: Final = _Pairs(
    {
        f"{first}-{second}{how}": _pair(first, second, is_tunnelled=bool(how))
        for how, first, second in itertools.product(("", "-tunnelled"), RELAYS, RELAYS)
    }
)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that do not block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


def refused() -> tuple[socket.socket, socket.socket]:
    """For `Joined`: a server's place at which nobody listens, being dialled, and nobody's end."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    unused, server = tcp_pair()
    unused.close()
    return dial("127.0.0.1", port), server


@pytest.fixture(params=list(PAIRS.values()), ids=list(PAIRS))
def make_ends(request: pytest.FixtureRequest) -> MakeEnds:
    """Makes the relays of both ends, inside the running loop."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=list(EVERY_LOOP.values()), ids=list(EVERY_LOOP))
def run_on_loop(request: pytest.FixtureRequest) -> Run:
    """Runs a story on each loop, for a bounded time."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = request.param

    def run(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(story, STORY_SECONDS))

    return run


class Joined:
    """A client and a server with a flow between them.

    `words` are said by the client before that begins.

    Attributes:
        flow: the opener's.
        served: the listener's, once the opening is there.
        home: streams that came home, by end: "near" is the opener's.
    """

    def __init__(
        self,
        ends: Ends,
        stream: tuple[Stream, Stream] | None = None,
        server: tuple[socket.socket, socket.socket] | None = None,
        words: bytes = b"",
    ) -> None:
        self.ends = ends
        self.client, self.first = ends.pair()
        assert self.client.send(words) == len(words)
        self.second, self.server = server or ends.pair()
        linger_not(self.first)
        linger_not(self.second)
        self.near, self.far = stream or ends.streams()
        self.told: list[Flow] = []
        self.ended = asyncio.Event()
        self.served_ended = asyncio.Event()
        self.served: Flow | None = None
        self.home: dict[str, Stream] = {}
        self.both_home = asyncio.Event()
        self._is_closed = False
        self.near.home = partial(self._came_home, "near")
        self.far.home = partial(self._came_home, "far")
        self._reader = OpenReader(self.far, self._opened, _ignore, ends.listener.readiness)
        ends.opener.readiness.watch(self.near.fileno(), _ignore)
        self.flow = ends.opener.forward(self.first, self.near, OPENING, self._end)

    def _opened(self, stream: socket.socket, request: OpenRequest) -> None:
        assert request.encode() == OPENING
        self.served = self.ends.listener.serve(stream, self.second, self._served_end)

    def _end(self, flow: Flow) -> None:
        self.told.append(flow)
        self.ended.set()

    def _served_end(self, flow: Flow) -> None:
        assert flow is self.served
        assert not self.served_ended.is_set()
        self.served_ended.set()

    def _came_home(self, end: str, stream: Stream) -> None:
        self.home[end] = stream
        if self._is_closed:
            self._close_home(end)
        if len(self.home) == len(("near", "far")):
            self.both_home.set()

    async def wait_held_back(self, taken: int) -> None:
        """Until neither relay reads what the client says, of which the server has taken so much.

        Fails as soon as there is more under way than fits.
        """
        before, turns = (-1, -1), 0
        while turns < HELD_TURNS:
            await asyncio.sleep(0)
            assert not self.ended.is_set(), "the flow has ended at its opener's"
            assert not self.served_ended.is_set(), "the flow has ended at its listener's"
            now = (self.flow.from_first, self.served.from_first if self.served else -1)
            under_way = now[0] - taken
            assert under_way <= self.ends.most, "a relay reads on for a reader that is asleep"
            is_held = now == before and _has_unread(self.first) and _has_unread(self.far)
            before, turns = now, turns + 1 if is_held else 0

    async def wait_home(self) -> None:
        """Until both ends of the stream have come home."""
        await asyncio.wait_for(self.both_home.wait(), PATIENCE)

    async def wait_end(self) -> None:
        """Until either end has told its owner, once, that the flow is over."""
        await asyncio.wait_for(self.ended.wait(), PATIENCE)
        await asyncio.wait_for(self.served_ended.wait(), PATIENCE)
        assert self.told == [self.flow]

    def close(self) -> None:
        """Close what is the test's, and what comes home later."""
        self._is_closed = True
        for end in list(self.home):
            self._close_home(end)
        self.client.close()
        self.server.close()

    def _close_home(self, end: str) -> None:
        relay = self.ends.opener if end == "near" else self.ends.listener
        relay.readiness.forget(self.home[end].fileno())
        self.home.pop(end).close()


def streams(*, may_be_raw: bool = True) -> tuple[Stream, Stream]:
    """Both ends of a stream, authenticated as it were."""
    near, far = tcp_pair()
    return Stream.of(near, may_be_raw=may_be_raw), Stream.of(far, may_be_raw=may_be_raw)


def _has_unread(sock: socket.socket | Stream) -> bool:
    """True if a socket has bytes for its reader."""
    same = socket.socket(fileno=sock.fileno())
    try:
        return bool(same.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        same.detach()


def _ignore(_: object) -> None:
    """Nobody cares."""


@contextlib.asynccontextmanager
async def joined(make_ends: MakeEnds, room: int | None = None) -> AsyncIterator[Joined]:
    """One flow, and afterwards none. `room`: see `Ends`."""
    ends = make_ends()
    ends.room = room
    flow = Joined(ends)
    try:
        yield flow
    finally:
        await ends.aclose()
        flow.close()
