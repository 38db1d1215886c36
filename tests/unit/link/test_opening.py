"""Reading an opening, and no more of its stream than may be read there; and what came with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest

from link.loop import open_epoll_readiness, run
from link.opening import OpenReader
from link.readiness import LoopReadiness, Readiness
from link.relay.framed import say_early
from link.relay.frames import HEADER
from link.relay.relay import reset_socket
from link.stream import READ_AHEAD, Stream, take_early
from link.wire import OPEN_SIZE, OpenRequest
from tests.contract.relay_stage import streams, tcp_pair
from tests.until import until

REQUEST = OpenRequest("127.0.0.1", 80)
OPENING = REQUEST.encode()


class Waiting:
    """A reader at one end of a stream, and what it has opened."""

    def __init__(self, readiness: Readiness, *, is_plain: bool = False) -> None:
        self.near, far = streams()
        self.far = socket.socket(fileno=far.detach()) if is_plain else far
        self.far.setblocking(False)
        self.opened: list[OpenRequest] = []
        self.gone = 0
        self.readiness = readiness
        self.reader = OpenReader(self.far, self._open, self._leave, readiness)

    def _open(self, stream: socket.socket, request: OpenRequest) -> None:
        assert stream is self.far
        self.opened.append(request)
        self.readiness.watch(stream.fileno(), lambda _mask: None)  # as whoever has it now does

    def _leave(self, _reader: OpenReader) -> None:
        self.gone += 1

    async def open(self, *parts: bytes) -> None:
        """Say this, in pieces, until it is an opening."""
        count = len(self.opened)
        for part in parts:
            self.near.send(part)
            await asyncio.sleep(0.01)
        await until(lambda: len(self.opened) > count)

    def close(self) -> None:
        self.reader.close()
        self.near.close()


def tell(story: Callable[[Readiness], object]) -> None:
    async def told() -> None:
        readiness, close = open_epoll_readiness()
        await story(readiness)  # type: ignore[misc]
        close()

    run(told())


@pytest.mark.parametrize("cut", [1, OPEN_SIZE - 1, OPEN_SIZE, OPEN_SIZE + 3])
def test_what_comes_with_an_opening_is_left_with_the_stream(cut: int) -> None:
    async def story(readiness: Readiness) -> None:
        waiting = Waiting(readiness)
        words = OPENING + b"behind"
        await waiting.open(words[:cut], words[cut:])
        early, is_drained = take_early(waiting.far)
        assert waiting.opened == [REQUEST]
        assert early + _what_waits(waiting.far) == b"behind"
        assert is_drained
        assert take_early(waiting.far) == (b"", False)
        waiting.close()

    tell(story)


def test_more_than_may_be_read_ahead_is_known_to_wait() -> None:
    async def story(readiness: Readiness) -> None:
        waiting = Waiting(readiness)
        await waiting.open(OPENING + bytes(READ_AHEAD + 1))
        early, is_drained = take_early(waiting.far)
        assert (len(early), is_drained) == (READ_AHEAD, False)
        assert _what_waits(waiting.far) == bytes(1)
        waiting.close()

    tell(story)


@pytest.mark.parametrize("is_plain", [True, False], ids=["no Stream", "told of as long as it is"])
def test_nothing_is_read_ahead_for_those_who_do_not_ask(is_plain: bool) -> None:
    async def story(readiness: Readiness) -> None:
        waiting = Waiting(readiness if is_plain else LoopReadiness(), is_plain=is_plain)
        await waiting.open(OPENING + b"behind")
        assert take_early(waiting.far) == (b"", False)
        assert _what_waits(waiting.far) == b"behind"
        waiting.close()

    tell(story)


def test_a_reader_waits_for_one_opening_after_the_other() -> None:
    async def story(readiness: Readiness) -> None:
        waiting = Waiting(readiness)
        for number in range(1, 4):
            await waiting.open(OPENING)
            assert (len(waiting.opened), waiting.gone) == (number, number)
            assert isinstance(waiting.far, Stream)
            waiting.reader.wait()
        waiting.close()

    tell(story)


def _what_waits(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 16)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize(
    "early", [b"", HEADER.pack(5), HEADER.pack(5) + b"half", 2 * (HEADER.pack(5) + b"whole")]
)
def test_nothing_is_said_early_but_one_whole_frame(early: bytes) -> None:
    near, far = tcp_pair()
    with near, far:
        assert say_early(near, early) is None
        with pytest.raises(BlockingIOError):
            far.recv(1)


def test_who_says_a_frame_early_is_told_what_became_of_it() -> None:
    frame = HEADER.pack(5) + b"words"
    near, far = tcp_pair()
    with near:
        assert say_early(near, frame) == 5
        assert far.recv(9) == b"words"
        with contextlib.suppress(BlockingIOError):
            while True:
                near.send(bytes(1 << 16))
        assert say_early(near, frame) == 0
        reset_socket(far)
        assert say_early(near, frame) == -1
