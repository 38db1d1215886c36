"""Authenticated streams kept idle, so that opening a flow costs no dial and no handshake.

    put(stream) ─▶ idle ─▶ take(taker)         an idle stream that says anything or ends is dropped
                    ▲  └─▶ draw() ─▶ a TCP flow ─▶ idle again, if it ended in order
    take(taker) with none idle, wait(taker) ─▶ waiting, in order, for at most WAIT_SECONDS

Rules: bounded on both sides; a taker is called exactly once, with a stream it then owns or with
None. The stream used last is used first, so that what is not needed any more stays idle: of such
streams more than `most_idle` are not kept. A stream that was out when its link went is not taken
back. Used on the desktop (streams drawn for clients of mirrors) and in the agent (streams parked
for clients of stubs).
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from link.readiness import LoopReadiness, Readiness
from link.stream import Stream

__all__ = ["MAX_IDLE", "MAX_WAITING", "WAIT_SECONDS", "StreamPool"]

WAIT_SECONDS: Final = 5.0
"""How long a new connection may wait for a stream: the grace of a lost link (DESIGN 5)."""
MAX_WAITING: Final = 4096
"""Clients that may wait at once; more are refused."""
MAX_IDLE: Final = 256
"""Streams that came back which are kept: as many flows begin at once without a dial."""

Taker = Callable[["socket.socket | None"], None]


class StreamPool:
    """See the module.

    Args:
        on_need: called when a taker has to wait, or fewer than `enough` are idle.
        readiness: what watches the streams; that of the relay whose flows they carry.

    Attributes:
        refused: takers sent away at once, since too many waited.
        expired: takers that waited in vain.
        enough: idle streams with which nobody need be told; none unless the owner says so.
        most_idle: streams that came back which are kept.
    """

    def __init__(self, on_need: Callable[[], None], readiness: Readiness | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_need = on_need
        self.readiness = readiness or LoopReadiness()
        self._idle: dict[int, socket.socket] = {}
        self._waiting: deque[tuple[float, Taker]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._home = self._new_home()
        self.refused = 0
        self.expired = 0
        self.enough = 0
        self.most_idle = MAX_IDLE

    @property
    def idle(self) -> int:
        """Streams ready to be taken."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Takers without a stream."""
        return len(self._waiting)

    def put(self, stream: socket.socket) -> None:
        """Add a stream; the longest waiting taker gets it at once."""
        if isinstance(stream, Stream):
            stream.home = self._home
        descriptor = stream.fileno()
        self.readiness.watch(descriptor, functools.partial(self._drop, descriptor))
        if self._waiting:
            self._waiting.popleft()[1](stream)
        else:
            self._idle[descriptor] = stream

    def draw(self) -> socket.socket | None:
        """An idle stream, or None: then `wait`. It is still watched by the pool's readiness."""
        if not self._idle:
            return None
        _, stream = self._idle.popitem()
        if len(self._idle) < self.enough:
            self._on_need()
        return stream

    def wait(self, taker: Taker) -> None:
        """Hand the next stream to `taker`, as `draw` does; None if none comes in time."""
        if len(self._waiting) >= MAX_WAITING:
            self.refused += 1
            taker(None)
        else:
            self._waiting.append((self._loop.time() + WAIT_SECONDS, taker))
            if self._timer is None:
                self._timer = self._loop.call_later(WAIT_SECONDS, self._expire)
        self._on_need()

    def take(self, taker: Taker) -> None:
        """Hand a stream to `taker` for good, now or later: it is not watched any more."""

        def unwatched(stream: socket.socket | None) -> None:
            if stream is not None:
                self.readiness.unwatch(stream.fileno())
            taker(stream)

        stream = self.draw()
        if stream is None:
            self.wait(unwatched)
        else:
            unwatched(stream)

    def clear(self) -> None:
        """Close the idle streams, since their link is gone; takers wait on."""
        self._home = self._new_home()
        while self._idle:
            self.give_up(self._idle.popitem()[1])

    def close(self) -> None:
        """Close the idle streams and send every taker away."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._waiting.popleft()[1](None)

    def give_up(self, stream: socket.socket) -> None:
        """Close a stream that was drawn, or came back unwanted."""
        self.readiness.forget(stream.fileno())
        stream.close()

    def _new_home(self) -> Callable[[Stream], None]:
        """Takes back the streams of one link, for as long as that is there."""

        def come_back(stream: Stream) -> None:
            if self._home is not come_back:
                self.give_up(stream)
            elif self._waiting:
                self.put(stream)
            elif len(self._idle) < self.most_idle:
                descriptor = stream.fileno()
                self.readiness.watch(descriptor, functools.partial(self._drop, descriptor))
                self._idle[descriptor] = stream
            else:
                self.give_up(stream)

        return come_back

    def _drop(self, descriptor: int, _mask: int) -> None:
        stream = self._idle.get(descriptor)
        if stream is None or _is_silent(stream):
            return
        del self._idle[descriptor]
        self.give_up(stream)
        self._on_need()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            self.expired += 1
            self._waiting.popleft()[1](None)
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._expire)


def _is_silent(stream: socket.socket) -> bool:
    """False if the other end has said something, or has ended the stream."""
    try:
        stream.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
