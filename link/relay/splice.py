"""The Linux relay: the kernel moves the bytes, an edge-triggered epoll says when.

    epoll (one, nested in the event loop) ──▶ _Half.on_event
    _Half   one direction: source ──copy (small) or splice through a pipe (bulk)──▶ sink
    _Flow   two halves, and how a flow ends

Rules:
- A half reads only while nothing it read before is waiting for its sink: that is the whole of
  back-pressure, and bounds a flow's memory to one buffer or one pipe each way.
- Edge-triggered: a half reads until less than asked for came, and until end-of-file or error
  once the kernel has hinted at one, since no second edge may come.
- A half that moved TURN_BYTES in one go queues up behind the others.
- A connecting sink counts as blocked, since shutdown(2) on it would abandon the connect.

Limits: Linux, Python 3.9, any asyncio loop with add_reader. Counterpart: `portable.py`.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from link.relay.kernel import PIPE_SIZE, PipePool, splice, unsent_bytes
from link.relay.relay import RESET_FLUSH_SECONDS, Flow, Relay, reset_socket

__all__ = ["SpliceRelay"]

COPY_SIZE: Final = 1 << 16
"""A read that fills this many bytes makes its half a bulk one, which splices."""
BULK_ENDS_BELOW: Final = 1 << 14
"""A turn that moves fewer bytes than this ends bulk: a copy is two calls, a splice is more."""
TURN_BYTES: Final = 4 << 20
"""Bytes a half may move before the others have their turn."""
EVENTS_PER_TURN: Final = 256
FLUSH_CHECK_SECONDS: Final = 0.005

_WRITABLE: Final = select.EPOLLOUT
_ENDING: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_READABLE: Final = select.EPOLLIN | _ENDING
_EVENTS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class SpliceRelay(Relay):
    """See `Relay`. Make it inside the running loop."""

    name = "splice"

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pipes = PipePool()
        self.buffer = bytearray(COPY_SIZE)
        self.view = memoryview(self.buffer)
        self._epoll = select.epoll()
        self._halves: dict[int, _Half] = {}
        self._again: deque[_Half] = deque()
        self._flows: set[_Flow] = set()
        self.loop.add_reader(self._epoll.fileno(), self._turn)

    def join(
        self,
        first: socket.socket,
        second: socket.socket,
        on_end: Callable[[Flow], None],
        *,
        to_second: bytes = b"",
    ) -> Flow:
        """See `Relay.join`."""
        flow = _Flow(self, first, second, on_end, to_second)
        try:
            for half in (flow.there, flow.back):
                self._halves[half.source_fd] = half
                self._epoll.register(half.source_fd, _EVENTS)
        except OSError:
            self.forget(flow)
            reset_socket(first)
            reset_socket(second)
            raise
        self._flows.add(flow)
        return flow

    @property
    def count(self) -> int:
        """See `Relay.count`."""
        return len(self._flows)

    async def aclose(self) -> None:
        """See `Relay.aclose`."""
        for flow in list(self._flows):
            flow.abort()
        if self._epoll.closed:
            return
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self.pipes.close()

    def again(self, half: _Half) -> None:
        """Give `half` another go after the others had theirs."""
        self._again.append(half)

    def forget(self, flow: _Flow) -> None:
        """Drop what is known of a flow; its sockets are about to be closed."""
        for half in (flow.there, flow.back):
            self._halves.pop(half.source_fd, None)
        self._flows.discard(flow)

    def _turn(self) -> None:
        if self._epoll.closed:
            return
        for descriptor, mask in self._epoll.poll(0, EVENTS_PER_TURN):
            half = self._halves.get(descriptor)
            if half is not None:
                half.on_event(mask)
        for _ in range(len(self._again)):
            self._again.popleft().advance()
        if self._again:
            self.loop.call_soon(self._turn)


class _Half:
    """One direction of a flow."""

    __slots__ = (
        "bulk",
        "connecting",
        "count",
        "ended",
        "ending",
        "flow",
        "in_pipe",
        "pending",
        "pipe",
        "relay",
        "sink",
        "sink_fd",
        "source",
        "source_fd",
        "twin",
    )
    twin: _Half

    def __init__(self, flow: _Flow, source: socket.socket, sink: socket.socket) -> None:
        self.flow = flow
        self.relay = flow.relay
        self.source = source
        self.sink = sink
        self.source_fd = source.fileno()
        self.sink_fd = sink.fileno()
        self.pending = b""
        self.pipe: tuple[int, int] | None = None
        self.in_pipe = 0
        self.count = 0
        self.bulk = False
        self.connecting = True
        self.ending = False
        self.ended = False

    @property
    def is_blocked(self) -> bool:
        """True while something read waits for the sink."""
        return self.connecting or bool(self.pending) or self.in_pipe > 0

    def on_event(self, mask: int) -> None:
        """The source (and so the twin's sink) has news."""
        if mask & _WRITABLE and not mask & select.EPOLLERR and self.twin.is_blocked:
            self.twin.flush()
        if mask & _READABLE and not self.flow.is_over:
            if mask & _ENDING:
                self.ending = True
            self.advance()

    def advance(self) -> None:
        """Move what the source has, unless the sink is behind."""
        while not self.is_blocked and not self.ended:
            if not (self.pump() if self.bulk else self.copy()):
                return

    def copy(self) -> bool:
        """Move one small read. True if there may be more at once."""
        try:
            size = self.source.recv_into(self.relay.buffer)
        except BlockingIOError:
            return False
        except OSError:
            self.flow.source_failed(self)
            return False
        if not size:
            self.end()
            return False
        self.count += size
        sent = self._send(self.relay.view[:size])
        if sent is None:
            return False
        if sent < size:
            self.pending = bytes(self.relay.view[sent:size])
        self.bulk = size == COPY_SIZE
        return self.bulk or self.ending

    def pump(self) -> bool:
        """Move up to TURN_BYTES through a pipe. True if there may be more at once."""
        if self.pipe is None:
            try:
                self.pipe = self.relay.pipes.take()
            except OSError:
                self.bulk = False
                return True
        moved = 0
        while moved < TURN_BYTES:
            size = self._fill()
            if size <= 0:
                self._free_pipe()
                self.bulk = moved >= BULK_ENDS_BELOW
                if size == 0:
                    self.end()
                return False
            moved += size
            if not self._empty():
                return False
        self._free_pipe()
        self.relay.again(self)
        return False

    def flush(self) -> None:
        """The sink takes bytes again."""
        self.connecting = False
        if self.pending:
            sent = self._send(self.pending)
            if sent is None:
                return
            self.pending = self.pending[sent:]
        elif self.in_pipe and not self._empty():
            return
        if not self.pending:
            self.advance()

    def discard(self) -> None:
        """Forget what waits; nothing more will be read."""
        self.ended = True
        self.connecting = False
        self.pending = b""
        if self.pipe is not None:
            self.relay.pipes.discard(self.pipe)
            self.pipe = None
        self.in_pipe = 0

    def end(self) -> None:
        """The source's end-of-file; everything before it has been handed to the sink."""
        self.ended = True
        if self.flow.is_failing:
            self.flow.source_failed(self)
        elif self.twin.ended:
            self.flow.finish()
        else:
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError:
                self.flow.sink_failed(self)

    def _fill(self) -> int:
        """Bytes moved from the source to the pipe; 0 at its end; -1 if none are there."""
        try:
            size = splice(self.source_fd, self._pipe_end(1), PIPE_SIZE)
        except BlockingIOError:
            return -1
        except OSError:
            self.flow.source_failed(self)
            return -1
        self.count += size
        self.in_pipe += size
        return size

    def _empty(self) -> bool:
        """Move the pipe's bytes to the sink. False if some remain, or the sink failed."""
        try:
            while self.in_pipe:
                self.in_pipe -= splice(self._pipe_end(0), self.sink_fd, self.in_pipe)
        except BlockingIOError:
            return False
        except OSError:
            self.flow.sink_failed(self)
            return False
        return True

    def _send(self, data: bytes | memoryview) -> int | None:
        """Bytes the sink took, None if it failed."""
        try:
            return self.sink.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.flow.sink_failed(self)
            return None

    def _pipe_end(self, end: int) -> int:
        if self.pipe is None:
            raise RuntimeError("a half without a pipe cannot splice")
        return self.pipe[end]

    def _free_pipe(self) -> None:
        if self.pipe is not None and not self.in_pipe:
            self.relay.pipes.give_back(self.pipe)
            self.pipe = None


class _Flow(Flow):
    """Two halves. `there` is first → second, `back` is second → first."""

    __slots__ = ("_deadline", "_on_end", "back", "is_failing", "is_over", "relay", "there")

    def __init__(
        self,
        relay: SpliceRelay,
        first: socket.socket,
        second: socket.socket,
        on_end: Callable[[Flow], None],
        to_second: bytes,
    ) -> None:
        self.relay = relay
        self.is_over = False
        self.is_failing = False
        self._deadline = 0.0
        self._on_end = on_end
        self.there = _Half(self, first, second)
        self.back = _Half(self, second, first)
        self.there.twin, self.back.twin = self.back, self.there
        self.back.connecting = False
        self.there.pending = to_second
        self.there.count = len(to_second)

    @property
    def from_first(self) -> int:
        """See `Flow`."""
        return self.there.count

    @property
    def from_second(self) -> int:
        """See `Flow`."""
        return self.back.count

    def abort(self) -> None:
        """See `Flow`."""
        if not self.is_over:
            self._over(reset_socket)

    def finish(self) -> None:
        """Both sides said end-of-file."""
        self._over(socket.socket.close)

    def source_failed(self, half: _Half) -> None:
        """`half`'s source is gone: reset its sink, once that has what was read before."""
        half.ended = True
        half.twin.discard()
        self._fail(half)

    def sink_failed(self, half: _Half) -> None:
        """`half`'s sink takes nothing any more, but may have said something before it went."""
        half.discard()
        half.twin.ending = True
        self._fail(half.twin)

    def _fail(self, last: _Half) -> None:
        """The flow ends with a reset of `last`'s sink, after what `last` still has for it."""
        if self.is_failing or self.is_over:
            return
        self.is_failing = True
        self._deadline = self.relay.loop.time() + RESET_FLUSH_SECONDS
        if last.ended and self._is_delivered(last):
            self.abort()
        else:
            self.relay.loop.call_soon(self._flush_before_reset, last)

    def _flush_before_reset(self, last: _Half) -> None:
        if not self.is_over:
            last.advance()
        self._reset_or_wait(last)

    def _reset_or_wait(self, last: _Half) -> None:
        if self.is_over:
            return
        if self.relay.loop.time() >= self._deadline or self._is_delivered(last):
            self.abort()
        else:
            self.relay.loop.call_later(FLUSH_CHECK_SECONDS, self._flush_before_reset, last)

    def _is_delivered(self, last: _Half) -> bool:
        return last.ended and not last.is_blocked and not unsent_bytes(last.sink_fd)

    def _over(self, close: Callable[[socket.socket], None]) -> None:
        self.is_over = True
        self.there.discard()
        self.back.discard()
        self.relay.forget(self)
        close(self.there.source)
        close(self.back.source)
        self._on_end(self)
