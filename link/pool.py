"""Authenticated streams kept idle, so that opening a flow costs no dial and no handshake.

    put(stream) ─▶ idle ─▶ take(taker)         an idle stream that says anything or ends is dropped
    take(taker) with none idle ─▶ waiting, in order, for at most WAIT_SECONDS

Rules: bounded on both sides; a taker is called exactly once, with a stream it then owns or with
None. Used on the desktop (streams drawn for clients of mirrors) and in the agent (streams parked
for clients of stubs).
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

__all__ = ["MAX_WAITING", "WAIT_SECONDS", "StreamPool"]

WAIT_SECONDS: Final = 5.0
"""How long a new connection may wait for a stream: the grace of a lost link (DESIGN 5)."""
MAX_WAITING: Final = 4096
"""Clients that may wait at once; more are refused."""

Taker = Callable[["socket.socket | None"], None]


class StreamPool:
    """See the module. `on_need` is called when a taker has to wait, or a stream is used up."""

    def __init__(self, on_need: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_need = on_need
        self._idle: OrderedDict[int, socket.socket] = OrderedDict()
        self._waiting: deque[tuple[float, Taker]] = deque()
        self._timer: asyncio.TimerHandle | None = None

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
        if self._waiting:
            self._waiting.popleft()[1](stream)
            return
        descriptor = stream.fileno()
        self._idle[descriptor] = stream
        self._loop.add_reader(descriptor, self._drop, descriptor)

    def take(self, taker: Taker) -> None:
        """Hand a stream to `taker`, now or later; None if none comes in time."""
        if self._idle:
            descriptor, stream = self._idle.popitem(last=False)
            self._loop.remove_reader(descriptor)
            taker(stream)
        elif len(self._waiting) >= MAX_WAITING:
            taker(None)
        else:
            self._waiting.append((self._loop.time() + WAIT_SECONDS, taker))
            if self._timer is None:
                self._timer = self._loop.call_later(WAIT_SECONDS, self._expire)
        self._on_need()

    def clear(self) -> None:
        """Close the idle streams, since their link is gone; takers wait on."""
        for descriptor, stream in self._idle.items():
            self._loop.remove_reader(descriptor)
            stream.close()
        self._idle.clear()

    def close(self) -> None:
        """Close the idle streams and send every taker away."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._waiting.popleft()[1](None)

    def _drop(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        stream = self._idle.pop(descriptor, None)
        if stream is not None:
            stream.close()
            self._on_need()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            self._waiting.popleft()[1](None)
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._expire)
