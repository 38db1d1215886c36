"""One direction of a flow, as the splice relay moves it.

    source ──copy (small) or splice through a pipe (bulk)──▶ sink
    Half alone is a direction without frames; `framed.py` has those that a stream has

Rules:
- A half reads only while nothing it read before is waiting for its sink: that is the whole of
  back-pressure, and bounds a flow's memory to one buffer or one pipe each way.
- Edge-triggered: a half reads until less than asked for came, and until end-of-file or error
  once the kernel has hinted at one, since no second edge may come.
- A half with bulk to move does so `later`, TURN_BYTES at a time: what is small overtakes it, but
  waits for the piece under way. So beside small messages it is SHORT_TURN_BYTES at a time.
- An idle half holds neither buffer nor pipe.
- Who has said its end may be reset, or vanish, right then or later, while it is told nothing: only
  the kernel's hints show that, and none comes twice.
- A sink does not linger until it is told the end: should this process be killed, that is a reset.
- A connecting sink counts as blocked, since shutdown(2) on it would abandon the connect.
- What every small piece and every short flow goes through (`on_event`, `copy`, `pass_end`, and what
  begins and ends a flow) is written out: it makes its system calls itself, calls few functions of
  ours and creates no object but one memoryview. Between two wake-ups the caches are cold, and then
  a call of Python takes as long as a cheap system call.

Counterpart: `splice.py`, which owns the sockets and says how a flow ends.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from link.readiness import ENDING, READABLE, SHORT_TURNS, WRITABLE
from link.relay.kernel import splice
from link.relay.relay import LINGER_FOR_THE_REST

if TYPE_CHECKING:
    from link.relay.splice import SpliceFlow, SpliceRelay

__all__ = ["COPY_SIZE", "SHORT_TURN_BYTES", "SMALL", "TURN_BYTES", "Half"]

COPY_SIZE: Final = 1 << 16
"""Bytes of one read. One that is full makes its half a bulk one, which splices, once it may."""
BULK_ENDS_BELOW: Final = 1 << 14
"""A turn that moves fewer bytes than this ends bulk: a copy is two calls, a splice is more."""
TURN_BYTES: Final = 1 << 19
"""Bytes a half may move before the others have their turn. With half of it eight streams are slower
by a fifth; with twice as much they gain nothing, and who speaks beside them waits twice as long."""
SHORT_TURN_BYTES: Final = 1 << 16
"""The same beside small messages. On two cores a round trip beside seven bulk flows takes a seventh
of the time, and those keep three quarters of their throughput; with half of it, half."""
SMALL: Final = 1 << 12
"""Bytes of a read that is no more than a question or an answer."""

_BROKEN: Final = 0x008
"""EPOLLERR, linux/eventpoll.h"""
_GONE: Final = _BROKEN | 0x010
"""The same or EPOLLHUP"""


class Half:
    """One direction, unframed.

    Attributes:
        ending: the kernel has hinted at the source's end.
        is_hung_up: it has hinted at more: the source hears nothing any more either, if it was not
            told the end.
        is_raw: nothing of it is in frames.
        is_blocked: something that was read waits for the sink, or the sink connects.
        is_ended: nothing more will be read.
        is_done: the sink was told so. Once it is not blocked either, it has all.
        handler: `on_event`, bound but once.
        twin: the other direction, for life: halves serve one flow after the other.
    """

    __slots__ = (
        "bulk",
        "count",
        "ending",
        "flow",
        "handler",
        "in_pipe",
        "is_blocked",
        "is_done",
        "is_ended",
        "is_hung_up",
        "is_queued",
        "is_raw",
        "pending",
        "pipe",
        "relay",
        "sink",
        "source",
        "twin",
    )
    flow: SpliceFlow
    twin: Half

    source: socket.socket
    sink: socket.socket

    def __init__(self, relay: SpliceRelay) -> None:
        self.relay = relay
        self.handler = self.on_event
        self.pending = b""
        self.pipe: tuple[int, int] | None = None
        self.in_pipe = 0
        self.count = 0
        self.bulk = self.ending = self.is_hung_up = False
        self.is_raw = self.is_blocked = self.is_queued = self.is_ended = self.is_done = False

    def on_event(self, mask: int) -> None:
        """The source (and so the twin's sink) has news."""
        if mask != READABLE:
            if mask & WRITABLE and not mask & _BROKEN and self.twin.is_blocked:
                self.twin.flush()
            if mask & ENDING:
                self.ending = True
                if mask & _GONE:
                    self.is_hung_up = True
                if self.is_ended and not self.twin.is_done and self.is_gone():
                    self.flow.sink_failed(self.twin)
                    return
            elif not mask & READABLE:
                return
        while not self.is_blocked and not self.is_ended:  # `advance`, without a call
            if self.bulk:
                self._queue()
                return
            if not self.copy():
                return

    def is_gone(self) -> bool:
        """True if the source, which has said its end and was told none, hears nothing any more."""
        return self.is_hung_up

    def advance(self) -> None:
        """Move what the source has, unless the sink is behind."""
        while not self.is_blocked and not self.is_ended:
            if self.bulk:
                self._queue()
                return
            if not self.copy():
                return

    def copy(self) -> bool:
        """Move one small read. True if there may be more at once."""
        payload = self.relay.payload
        try:
            size = self.source.recv_into(payload)
        except BlockingIOError:
            return False
        except OSError:
            self.flow.source_failed(self)
            return False
        if not size:
            self.at_end_of_file()
            return False
        self.count += size
        if size < SMALL:
            self.relay.readiness.short_turns = SHORT_TURNS
        self.deliver(payload[:size])
        self.bulk = size == COPY_SIZE
        return self.bulk or self.ending

    def deliver(self, data: memoryview | bytes) -> None:
        """Hand bytes to the sink; what it does not take waits."""
        if self.is_blocked:
            self.pending += data
            return
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.flow.sink_failed(self)
            return
        if sent < len(data):
            self.keep(data[sent:])

    def keep(self, data: memoryview | bytes) -> None:
        """What the sink does not take now waits."""
        self.pending = bytes(data)
        self.wait_for_sink()

    def wait_for_sink(self) -> None:
        """Read nothing more until the sink has room."""
        self.is_blocked = True
        self.relay.readiness.watch_room(self.sink.fileno())

    def flush(self) -> None:
        """The sink takes bytes again."""
        self.is_blocked = False
        if self.pending:
            data, self.pending = self.pending, b""
            self.deliver(data)
            if self.pending:
                return
        if self.in_pipe and not self.empty():
            return
        if self.is_ended:
            self.pass_end()
        else:
            self.advance()

    def at_end_of_file(self) -> None:
        """The source says end-of-file."""
        self.end()

    def end(self) -> None:
        """Nothing more will come."""
        self.is_ended = True
        if not self.is_blocked:
            self.pass_end()

    def pass_end(self) -> None:
        """The sink has all that came before the end: tell it, or finish."""
        flow, twin = self.flow, self.twin
        if flow.is_failing or flow.is_over:
            return
        is_last = twin.is_done and not twin.is_blocked
        try:
            self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_FOR_THE_REST)
            if not is_last:
                self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            flow.sink_failed(self)
            return
        if is_last:
            flow.finish()
        else:
            self.is_done = True
            if self.ending and not twin.is_done and self.is_gone():  # its reset came with its end
                flow.sink_failed(twin)

    def discard(self) -> None:
        """Forget what waits; nothing more will be read."""
        self.is_ended = True
        self.is_blocked = False
        self.pending = b""
        self.in_pipe = 0
        if self.pipe is not None:
            self.relay.pipes.discard(self.pipe)
            self.pipe = None

    def _queue(self) -> None:
        if not self.is_queued:
            self.is_queued = True
            self.relay.readiness.later(self._pump)

    def _pump(self) -> None:
        """Move what a turn has."""
        self.is_queued = False
        if self.is_blocked or self.is_ended:
            return
        if not self._take_pipe():
            self.bulk = False  # copying needs none
            self.advance()
            return
        readiness = self.relay.readiness
        if readiness.short_turns:
            readiness.short_turns -= 1
            self.splice_turn(SHORT_TURN_BYTES)
        else:
            self.splice_turn(TURN_BYTES)

    def splice_turn(self, most: int) -> None:
        """Move so many bytes, or what there is, through the pipe."""
        moved = 0
        while moved < most:
            size = self.fill(most)
            if size <= 0:
                self.pause(moved, is_at_end=size == 0)
                return
            moved += size
            if not self.empty():
                return
        self.end_turn()

    def end_turn(self) -> None:
        """There is more, but it is the others' turn."""
        self._free_pipe()
        self._queue()

    def _take_pipe(self) -> bool:
        """Have a pipe, if one can be had."""
        if self.pipe is None:
            self.pipe = self.relay.pipes.take()
        return self.pipe is not None

    def pause(self, moved: int, *, is_at_end: bool) -> None:
        """The source has no more for now, or for good."""
        self._free_pipe()
        self.bulk = moved >= BULK_ENDS_BELOW
        if is_at_end:
            self.at_end_of_file()

    def fill(self, most: int) -> int:
        """Bytes moved from the source to the pipe; 0 at its end; -1 if none are there."""
        try:
            size = splice(self.source.fileno(), self._pipe_end(1), most)
        except BlockingIOError:
            return -1
        except OSError:
            self.flow.source_failed(self)
            return -1
        self.count += size
        self.in_pipe += size
        return size

    def empty(self) -> bool:
        """Move the pipe's bytes to the sink. False if some have to wait, or the sink is gone."""
        if self.is_blocked:
            return False
        try:
            source, sink = self._pipe_end(0), self.sink.fileno()
            while self.in_pipe:
                self.in_pipe -= splice(source, sink, self.in_pipe)
        except BlockingIOError:
            self.wait_for_sink()
            return False
        except OSError:
            self.flow.sink_failed(self)
            return False
        return True

    def _pipe_end(self, end: int) -> int:
        if self.pipe is None:
            raise RuntimeError("a half without a pipe cannot splice")
        return self.pipe[end]

    def _free_pipe(self) -> None:
        if self.pipe is not None and not self.in_pipe:
            self.relay.pipes.give_back(self.pipe)
            self.pipe = None
