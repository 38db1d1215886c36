"""One direction of a flow, as the splice relay moves it.

    source ──copy (small) or splice through a pipe (bulk)──▶ sink
    ToStream puts the bytes into frames, FromStream takes them out again; Half does neither, as
    both do once the direction is RAW

Rules:
- A half reads only while nothing it read before is waiting for its sink: that is the whole of
  back-pressure, and bounds a flow's memory to one buffer or one pipe each way.
- Edge-triggered: a half reads until less than asked for came, and until end-of-file or error
  once the kernel has hinted at one, since no second edge may come.
- A half with bulk to move does so `later`, TURN_BYTES at a time: what is small overtakes it.
- An idle half holds neither buffer nor pipe.
- A connecting sink counts as blocked, since shutdown(2) on it would abandon the connect.
- Nothing of the next flow is read here: that comes only after WHOLE, which ends this one.
- What every small piece goes through (`on_event`, `advance`, `copy`) makes its system calls itself
  and creates no object but one memoryview: between two wake-ups the caches are cold, and then a
  call of Python takes as long as a cheap system call.

Counterpart: `splice.py`, which owns the sockets and says how a flow ends.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from link.readiness import ENDING, READABLE, WRITABLE
from link.relay.frames import END, HEADER, RAW, WHOLE, Unframer
from link.relay.kernel import PIPE_SIZE, splice
from link.relay.relay import StreamGoneError
from link.stream import may_be_raw
from link.wire import OPEN_SIZE, WireError

if TYPE_CHECKING:
    from link.relay.splice import SpliceFlow, SpliceRelay

__all__ = ["COPY_SIZE", "WHOLE_WORD", "FromStream", "Half", "ToStream", "send_opening"]

COPY_SIZE: Final = 1 << 16
"""Bytes of one read. One that is full makes its half a bulk one, which splices, once it may."""
RAW_AFTER: Final = 1 << 19
"""Bytes of a flow in one direction after which the stream is given up for splicing them: by then
a stream dialled anew costs little beside moving them."""
BULK_ENDS_BELOW: Final = 1 << 14
"""A turn that moves fewer bytes than this ends bulk: a copy is two calls, a splice is more."""
TURN_BYTES: Final = 1 << 19
"""Bytes a half may move before the others have their turn. Half of it costs a tenth more CPU."""

_BROKEN: Final = 0x008
"""EPOLLERR, linux/eventpoll.h"""
_END: Final = HEADER.pack(END)
WHOLE_WORD: Final = HEADER.pack(WHOLE)
_HEADER_SIZE: Final = HEADER.size
_pack_header: Final = HEADER.pack_into
_unpack_header: Final = HEADER.unpack_from


class Half:
    """One direction, unframed.

    Attributes:
        ending: the kernel has hinted at the source's end.
        is_raw: nothing of it is in frames.
        is_blocked: something that was read waits for the sink, or the sink connects.
        is_ended: nothing more will be read.
        is_done: the sink was told so.
    """

    __slots__ = (
        "bulk",
        "count",
        "ending",
        "flow",
        "in_pipe",
        "is_blocked",
        "is_done",
        "is_ended",
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

    def __init__(self, relay: SpliceRelay, source: socket.socket, sink: socket.socket) -> None:
        self.relay = relay
        self.source = source
        self.sink = sink
        self.pending = b""
        self.pipe: tuple[int, int] | None = None
        self.in_pipe = 0
        self.count = 0
        self.bulk = self.ending = False
        self.is_raw = self.is_blocked = self.is_queued = self.is_ended = self.is_done = False

    @property
    def is_through(self) -> bool:
        """True once the sink has all, and knows that it is all."""
        return self.is_done and not self.is_blocked

    def on_event(self, mask: int) -> None:
        """The source (and so the twin's sink) has news."""
        if mask != READABLE:
            if mask & WRITABLE and not mask & _BROKEN and self.twin.is_blocked:
                self.twin.flush()
            if mask & ENDING:
                self.ending = True
            elif not mask & READABLE:
                return
        self.advance()

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
        if self.in_pipe and not self._empty():
            return
        if self.pending:
            data, self.pending = self.pending, b""
            self.deliver(data)
            if self.pending:
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
        if self.flow.is_failing or self.flow.is_over:
            return
        if self.twin.is_through:
            self.flow.finish()
            return
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.flow.sink_failed(self)
            return
        self.is_done = True

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
        """Move up to TURN_BYTES."""
        self.is_queued = False
        if self.is_blocked or self.is_ended:
            return
        if self.is_raw:
            self._splice_turn()
        else:
            self._copy_turn()

    def _copy_turn(self) -> None:
        """Move bulk that is in frames, which the kernel knows nothing of."""
        enough = self.count + TURN_BYTES
        while self.copy():
            if self.is_blocked or self.is_ended:
                return
            if self.count >= enough or self.is_raw:
                self._queue()
                return
        self.bulk = False

    def _splice_turn(self) -> None:
        """Move bulk through a pipe."""
        if self.pipe is None:
            try:
                self.pipe = self.relay.pipes.take()
            except OSError:
                self.bulk = False  # copying needs none
                self.advance()
                return
        moved = 0
        while moved < TURN_BYTES:
            size = self._fill()
            if size <= 0:
                self._pause(moved, is_at_end=size == 0)
                return
            moved += size
            if not self._empty():
                return
        self._free_pipe()
        self._queue()

    def _pause(self, moved: int, *, is_at_end: bool) -> None:
        """The source has no more for now, or for good."""
        self._free_pipe()
        self.bulk = moved >= BULK_ENDS_BELOW
        if is_at_end:
            self.at_end_of_file()

    def _fill(self) -> int:
        """Bytes moved from the source to the pipe; 0 at its end; -1 if none are there."""
        try:
            size = splice(self.source.fileno(), self._pipe_end(1), PIPE_SIZE)
        except BlockingIOError:
            return -1
        except OSError:
            self.flow.source_failed(self)
            return -1
        self.count += size
        self.in_pipe += size
        return size

    def _empty(self) -> bool:
        """Move the pipe's bytes to the sink. False if some have to wait, or the sink is gone."""
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


class ToStream(Half):
    """The direction into the stream: frames, until it is bulk and the stream may be RAW."""

    __slots__ = ()

    def copy(self) -> bool:
        """See `Half.copy`."""
        if self.is_raw:
            return super().copy()
        relay = self.relay
        try:
            size = self.source.recv_into(relay.payload)
        except BlockingIOError:
            return False
        except OSError:
            self.flow.source_failed(self)
            return False
        if not size:
            self.at_end_of_file()
            return False
        self.count += size
        if size == COPY_SIZE:
            return self._copy_full()
        self.bulk = False
        if self.ending:
            return self._copy_last(size)
        _pack_header(relay.frame, 0, size)
        size += _HEADER_SIZE
        data = relay.frame[:size]
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.flow.sink_failed(self)
            return False
        if sent < size:
            self.keep(data[sent:])
        return False

    def _copy_last(self, size: int) -> bool:
        """Send what was read, and the end with it if that is there, too."""
        relay, flow = self.relay, self.flow
        more, is_reset = -1, False
        try:
            more = self.source.recv_into(relay.payload[size:])
        except BlockingIOError:
            pass
        except OSError:
            is_reset = True
        if more > 0:
            self.count += more
            size += more
        _pack_header(relay.frame, 0, size)
        size += _HEADER_SIZE
        if more or flow.is_failing:
            self.deliver(relay.frame[:size])
            if is_reset:
                flow.source_failed(self)
            return not is_reset
        flow.has_said_whole = flow.is_served and self.twin.is_through
        _pack_header(relay.frame, size, WHOLE if flow.has_said_whole else END)
        self.is_ended = self.is_done = True
        self.deliver(relay.frame[: size + _HEADER_SIZE])
        if not self.is_blocked:
            self.pass_end()
        return False

    def _copy_full(self) -> bool:
        """Send a full read, and give the frames up once there have been many."""
        self.bulk = self.count >= RAW_AFTER
        self.is_raw = self.bulk and may_be_raw(self.sink)
        frame = self.relay.frame
        _pack_header(frame, 0, RAW if self.is_raw else COPY_SIZE)
        self.deliver(frame[: _HEADER_SIZE + COPY_SIZE])
        return True

    def pass_end(self) -> None:
        """See `Half.pass_end`: without a reset or bulk the stream outlives the flow."""
        if self.is_raw:
            super().pass_end()
            return
        if self.flow.is_failing or self.flow.is_over:
            return
        if not self.is_done:
            self.is_done = True
            self.flow.has_said_whole = self.flow.is_served and self.twin.is_through
            self.deliver(WHOLE_WORD if self.flow.has_said_whole else _END)
        if self.is_through and self.twin.is_through and not self.flow.is_failing:
            self.flow.finish()


def send_opening(
    relay: SpliceRelay, client: socket.socket, stream: socket.socket, opening: bytes, early: bytes
) -> tuple[int, bytes]:
    """Send an opening, and with it what the client has said already, of which `early` was read.

    Returns how many bytes the client has said, and what the stream did not take. Raises
    StreamGoneError if it takes nothing, OSError if the client is gone.
    """
    size = len(early)
    if early:
        relay.payload[:size] = early
    else:
        try:
            size = client.recv_into(relay.payload)
        except BlockingIOError:
            size = 0  # it may want the server to speak first
    relay.opening[:OPEN_SIZE] = opening
    data = relay.opening[:OPEN_SIZE]
    if size:
        _pack_header(relay.frame, 0, size)
        data = relay.opening[: OPEN_SIZE + _HEADER_SIZE + size]
    try:
        sent = stream.send(data)
    except OSError as error:
        raise StreamGoneError(bytes(relay.payload[:size])) from error
    return size, b"" if sent == len(data) else bytes(data[sent:])


class FromStream(Half):
    """The direction out of the stream.

    Attributes:
        is_drained: the last read left nothing behind.
        unframer: takes frames apart; None between two of them, and after RAW.
        has_end: the end came in a frame, so the stream may carry another flow.
    """

    __slots__ = ("has_end", "is_drained", "unframer")

    def __init__(self, relay: SpliceRelay, source: socket.socket, sink: socket.socket) -> None:
        super().__init__(relay, source, sink)
        self.unframer: Unframer | None = None
        self.is_drained = True
        self.has_end = False

    def pass_end(self) -> None:
        """See `Half.pass_end`. A server that is still being dialled is told once it is there."""
        if not self.count and self.flow.is_served and not _is_connected(self.sink):
            self.wait_for_sink()
        else:
            super().pass_end()

    def copy(self) -> bool:
        """See `Half.copy`."""
        if self.is_raw:
            return super().copy()
        room = self.relay.payload
        try:
            size = self.source.recv_into(room)
        except BlockingIOError:
            return False
        except OSError:
            self.flow.source_failed(self)
            return False
        if not size:
            self.at_end_of_file()
            return False
        if size == COPY_SIZE:
            self.is_drained = False
            self.bulk = self.count >= RAW_AFTER
        else:
            self.is_drained = True
            self.bulk = False
        if self.unframer is None and size >= _HEADER_SIZE and self._took_whole_frames(size):
            return not self.is_ended and (self.ending or not self.is_drained)
        self._unframe(room[:size])
        return self.ending or not self.is_drained

    def _took_whole_frames(self, size: int) -> bool:
        """Take one frame, an end, or both, if that is just what came: most often it is."""
        room = self.relay.payload
        word = _unpack_header(room)[0]
        end = word + _HEADER_SIZE
        last_word = END if self.flow.is_served else WHOLE
        if end == size and word:
            self._deliver_frame(room[_HEADER_SIZE:size])
        elif size == _HEADER_SIZE and word == last_word:
            self._at_end()
        elif word and end + _HEADER_SIZE == size and _unpack_header(room, end)[0] == last_word:
            self._deliver_frame(room[_HEADER_SIZE:end])
            self._at_end()
        else:
            return False
        return True

    def _deliver_frame(self, payload: memoryview) -> None:
        """Deliver one whole frame, as of a question or an answer."""
        size = len(payload)
        self.count += size
        try:
            sent = self.sink.send(payload)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.flow.sink_failed(self)
            return
        if sent < size:
            self.keep(payload[sent:])

    def _at_end(self) -> None:
        """The end came: the stream may carry another flow."""
        if not self.is_ended:  # else the sink is gone
            self.has_end = True
            self.end()

    def at_end_of_file(self) -> None:
        """See `Half.at_end_of_file`. A stream that ends without a word has lost the flow."""
        if self.is_raw:
            self.end()
        else:
            self.flow.source_failed(self)

    def _unframe(self, data: memoryview) -> None:
        """Deliver what is in frames, or parts of them."""
        unframer = self.unframer
        if unframer is None:
            unframer = self.unframer = Unframer(may_be_raw=may_be_raw(self.source))
        try:
            parts = unframer.feed(data)
        except WireError:
            self.flow.source_failed(self)
            return
        for part in parts:
            self.count += len(part)
            self.deliver(part)
        if unframer.is_raw:
            self.is_raw = self.bulk = True
        elif unframer.is_ended:
            self._at_end()
        elif unframer.is_between_frames:
            self.unframer = None


def _is_connected(sock: socket.socket) -> bool:
    """False while it connects, or when that has failed."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
