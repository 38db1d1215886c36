"""Joins a pipe with the sockets of its streams: many streams over one pipe, as kernel sockets.

    user ◀─ socket pair ─▶ _Stream ─▶ frames in one buffer ─▶ pipe
                              ▲────── a piece at a time ◀───── pipe

Rules:
- The pipe is always read: what a stream's reader does not take waits here, within its credit.
- A stream is read only when the pipe takes what it says: nothing waits here but one buffer.
- Streams that fell silent and speak again take turns with those that have more to say than one
  frame: what is small waits for one frame of a large one at most.
- The pipe's end, or a fault in it, is the end of every stream.

Limits: socket pairs know no reset: a stream that ends otherwise than in order is seen as one that
was closed. Any asyncio loop with add_reader. Counterparts: `session.py`, `signals.py`, `pipe.py`.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from link.mux.frames import HEADER_SIZE, MAX_PAYLOAD, MuxError, header_into
from link.mux.pipe import Pipe
from link.mux.session import (
    Arrived,
    Broken,
    Closed,
    Ended,
    Event,
    Granted,
    MuxSession,
    Opened,
    StreamLimitError,
)
from link.mux.signals import FAILED, GONE, Signals
from link.readiness import ENDING, WRITABLE

__all__ = ["MuxPump"]

READ_SIZE: Final = 1 << 18
"""Bytes of one read from the pipe, after which those who read the streams have their turn: about as
many as a socket pair holds, so that little has to wait here."""
BATCH_SIZE: Final = MAX_PAYLOAD
"""Bytes of streams that are written at once: as long as it takes to write them, a stream that
begins to speak has to wait."""
SMALLEST_ROOM: Final = 1 << 12
"""A batch with less room than this is full; frames without payload that fit into it go along."""

OnStream = Callable[[socket.socket], None]


class MuxPump:
    """One end of a pipe. `close` before dropping it.

    Args:
        pipe, signals: this owns them from now on.
        opens: True on the desktop's end.
        on_stream: given the user's end of each stream that the other end opens.
        on_end: told once, with the reason in words for a person, that the pipe has ended.
    """

    def __init__(
        self,
        pipe: Pipe,
        signals: Signals,
        *,
        opens: bool,
        on_stream: OnStream,
        on_end: Callable[[str], None],
    ) -> None:
        self._pipe = pipe
        self.signals = signals
        self._session = MuxSession(opens=opens)
        self._on_stream = on_stream
        self._on_end = on_end
        self._streams: dict[int, _Stream] = {}
        self._turns = _Turns()
        self._arriving = memoryview(bytearray(READ_SIZE))
        self._leaving = memoryview(bytearray(SMALLEST_ROOM + HEADER_SIZE + BATCH_SIZE))
        self._unsent: memoryview | bytes = b""
        self._is_writing = self._is_reading = False
        self._is_ending = False
        self._is_finishing = self._is_closed = False
        signals.watch(pipe.source, self._pipe_event)
        if pipe.sink != pipe.source:
            signals.watch(pipe.sink, self._sink_event)
        self.write_soon()

    @property
    def count(self) -> int:
        """Streams that are there."""
        return len(self._streams)

    @property
    def is_closed(self) -> bool:
        """True once the pipe has ended."""
        return self._is_closed

    def open(self) -> socket.socket:
        """The user's end of a new stream. Raises StreamLimitError, OSError."""
        if self._is_closed or self._is_finishing:
            raise ConnectionError("the pipe has ended")
        near, far = _socket_pair()
        try:
            self._adopt(self._session.open(), near)
        except StreamLimitError:
            near.close()
            far.close()
            raise
        self.write_soon()
        return far

    def finish(self) -> None:
        """Open no more streams; when the last has ended, so does the pipe. May be called twice."""
        self._is_finishing = True
        self.write_soon()

    def close(self, reason: str = "closed by this end") -> None:
        """End the pipe and all that is in it. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        for stream in list(self._streams.values()):
            self._drop(stream)
        for descriptor in {self._pipe.source, self._pipe.sink}:
            self.signals.unwatch(descriptor)
        self._pipe.close()
        self.signals.close()
        self._on_end(reason)

    def write_soon(self) -> None:
        """There is something to send."""
        if not self._is_writing and not self._is_closed:
            self._is_writing = True
            self.signals.later(self._write)

    def speaks(self, stream: _Stream, *, is_new: bool) -> None:
        """A stream has, or may have, something to send."""
        self._turns.add(stream, is_new=is_new)
        self.write_soon()

    # What leaves.

    def _write(self) -> None:
        """Fill the pipe until it takes no more, or one turn is over."""
        self._is_writing = False
        if self._is_closed:
            return
        self._unsent = self._unsent or self._fill()
        if not self._unsent:
            if self._is_finishing and not self._streams:
                self.close("there are no more streams")
            return
        try:
            size = self._pipe.write(memoryview(self._unsent))
        except BlockingIOError:
            size = 0
        except OSError as error:
            self.close(f"the pipe does not take anything any more: {error.strerror}")
            return
        self._unsent = self._unsent[size:]
        if self._unsent:
            self.signals.await_room(self._pipe.sink)
            self._is_writing = True
        elif self._session.has_control or self._turns.has_next or self._is_finishing:
            self.write_soon()

    def _room(self) -> None:
        """The pipe takes bytes again."""
        if self._is_writing and self._unsent:
            self._write()

    def _fill(self) -> memoryview | bytes:
        """What must be sent first, and frames of those whose turn it is."""
        control = self._session.control()
        position = len(control)
        if position > SMALLEST_ROOM:
            return control
        self._leaving[:position] = control
        end = position + HEADER_SIZE + BATCH_SIZE
        while (room := end - position - HEADER_SIZE) >= SMALLEST_ROOM:
            stream = self._turns.next()
            if stream is None:
                break
            allowance = min(self._session.allowance(stream.number), room)
            if not allowance:
                if stream.is_lost:
                    self.over(stream)
                continue  # it has its turn when it is granted more
            start = position + HEADER_SIZE
            size = stream.read_into(self._leaving[start : start + allowance])
            if size:
                self._session.sent(stream.number, size)
                header_into(self._leaving, position, size, stream.number)
                position = start + size
                if stream.has_more:
                    self._turns.add(stream, is_new=False)
        return self._leaving[:position]

    # What arrives.

    def _pipe_event(self, mask: int) -> None:
        if mask & WRITABLE:
            self._room()
        if mask & ENDING:
            self._is_ending = True
        if mask & ~WRITABLE and not self._is_reading:
            self._read_pipe()

    def _sink_event(self, mask: int) -> None:
        if mask & GONE:
            self.close("the other end reads no more")
        else:
            self._room()

    def _read_pipe(self) -> None:
        if self._is_closed:
            return
        try:
            size = self._pipe.read_into(self._arriving)
        except BlockingIOError:
            self.signals.await_bytes(self._pipe.source)
            return
        except OSError as error:
            self.close(f"the pipe broke: {error.strerror}")
            return
        if not size:
            self.close("the other end has ended the pipe")
            return
        self._take(self._arriving[:size])
        if self.is_closed:
            return
        if size < READ_SIZE and not self._is_ending:
            self.signals.await_bytes(self._pipe.source)
        else:
            self._read_later()

    def _read_later(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self.signals.later(self._read_more)

    def _read_more(self) -> None:
        self._is_reading = False
        self._read_pipe()

    def _take(self, data: memoryview) -> None:
        try:
            events = self._session.receive(data)
        except MuxError as error:
            self.close(f"protocol error: {error}")
            return
        for event in events:
            if self._is_closed:
                return
            self._serve(event)
        if self._session.has_control or self._is_finishing:
            self.write_soon()

    def _serve(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._opened(event.stream)
            return
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        if isinstance(event, Arrived):
            self.taken(stream, stream.deliver(event.data))
        elif isinstance(event, Granted):
            if stream.has_more:
                self.speaks(stream, is_new=False)
        elif isinstance(event, Broken):
            self._drop(stream)
        elif isinstance(event, (Ended, Closed)):
            stream.other_ended(is_closed=isinstance(event, Closed))

    def _opened(self, number: int) -> None:
        try:
            near, far = _socket_pair()
        except OSError:
            self._session.reset(number)  # out of descriptors: as if refused
            return
        self._adopt(number, near)
        self._on_stream(far)

    # Streams.

    def _adopt(self, number: int, near: socket.socket) -> None:
        stream = self._streams[number] = _Stream(self, number, near)
        self.signals.watch(near.fileno(), stream.on_event)

    def _drop(self, stream: _Stream) -> None:
        if self._streams.pop(stream.number, None) is not None:
            self.signals.forget(stream.sock.fileno())
            stream.sock.close()

    def taken(self, stream: _Stream, size: int) -> None:
        """The reader of a stream has so many bytes more."""
        if size:
            self._session.taken(stream.number, size)
            if self._session.has_control:
                self.write_soon()

    def ended(self, stream: _Stream) -> None:
        """The user will say nothing more."""
        self._session.end(stream.number)
        self.write_soon()

    def over(self, stream: _Stream) -> None:
        """The user is gone, or both ends have said their last word and the user has it all."""
        self._session.close(stream.number)
        self._drop(stream)
        self.write_soon()


class _Turns:
    """Whose turn it is: one of those that begin to speak, and one of those that go on."""

    def __init__(self) -> None:
        self._new: deque[_Stream] = deque()
        self._old: deque[_Stream] = deque()
        self._was_new = False

    @property
    def has_next(self) -> bool:
        """True if somebody waits."""
        return bool(self._new or self._old)

    def add(self, stream: _Stream, *, is_new: bool) -> None:
        """It waits, if it does not yet."""
        if not stream.is_waiting:
            stream.is_waiting = True
            (self._new if is_new else self._old).append(stream)

    def next(self) -> _Stream | None:
        """It waits no more."""
        self._was_new = bool(self._new) and not (self._was_new and self._old)
        queue = self._new if self._was_new else self._old
        if not queue:
            return None
        stream = queue.popleft()
        stream.is_waiting = False
        return stream


class _Stream:
    """One stream: the pump's end of its socket pair.

    Attributes:
        has_more: the user has said something that was not read, or may have.
        is_lost: the user went without having read all, so what it said is not worth waiting for.
        is_waiting: it waits for its turn.
    """

    __slots__ = (
        "_is_closing",
        "_is_ending",
        "_is_gone",
        "_is_last",
        "_is_said",
        "_pump",
        "_undelivered",
        "has_more",
        "is_lost",
        "is_waiting",
        "number",
        "sock",
    )

    def __init__(self, pump: MuxPump, number: int, sock: socket.socket) -> None:
        self._pump = pump
        self.number = number
        self.sock = sock
        self.has_more = False
        self.is_waiting = self.is_lost = False
        self._undelivered = bytearray()
        self._is_last = self._is_said = self._is_gone = False
        self._is_ending = self._is_closing = False

    def on_event(self, mask: int) -> None:
        """The user has news."""
        if mask & ENDING:
            self._is_last = True
        if mask & GONE:
            self._left(is_lost=bool(mask & FAILED or self._undelivered))
            return
        if mask & WRITABLE and self._undelivered:
            self._flush()
        if mask & ~WRITABLE:
            self._heard()

    def read_into(self, buffer: memoryview) -> int:
        """Bytes of the user for the pipe; 0 if there are none now, or never will be."""
        try:
            size = self.sock.recv_into(buffer)
        except BlockingIOError:
            self._is_silent()
            return 0
        except OSError:  # it is gone, and had not read all
            self._is_gone = True
            size = 0
        if not size:
            self._said_all()
        elif size < len(buffer) and not self._is_last:
            self._is_silent()
        return size

    def deliver(self, data: memoryview) -> int:
        """Hand bytes to the user; how many it took. The rest waits."""
        size = 0 if self._undelivered else self._send(data)
        if 0 <= size < len(data):
            self._undelivered += data[size:]
        return max(size, 0)

    def other_ended(self, *, is_closed: bool) -> None:
        """The other end has said its last word, and perhaps reads no more."""
        self._is_ending = True
        self._is_closing = self._is_closing or is_closed
        if not self._undelivered:
            self._pass_end()

    def _is_silent(self) -> None:
        self.has_more = False
        self._pump.signals.await_bytes(self.sock.fileno())

    def _heard(self) -> None:
        """The user has said something, or its last."""
        if not self._is_said:
            is_new = not self.has_more
            self.has_more = True
            self._pump.speaks(self, is_new=is_new)
        elif self._is_gone:
            self._pump.over(self)

    def _said_all(self) -> None:
        self.has_more = False
        self._is_said = True
        if self._is_gone or (self._is_ending and not self._undelivered):
            self._pump.over(self)
        else:
            self._pump.ended(self)

    def _send(self, data: memoryview | bytearray) -> int:
        """Bytes that the user took; -1 if it is gone."""
        try:
            size = self.sock.send(data)
        except BlockingIOError:
            size = 0
        except OSError:
            self._left(is_lost=True)
            return -1
        if size < len(data):
            self._pump.signals.await_room(self.sock.fileno())
        return size

    def _left(self, *, is_lost: bool) -> None:
        """The user reads no more; what it said before is read first."""
        self._undelivered.clear()
        self._is_gone = True
        self.is_lost = self.is_lost or is_lost
        if self._is_closing:
            self._pump.over(self)
        else:
            self._heard()

    def _flush(self) -> None:
        size = self._send(self._undelivered)
        if size < 0:
            return
        del self._undelivered[:size]
        self._pump.taken(self, size)
        if self._is_ending and not self._undelivered:
            self._pass_end()

    def _pass_end(self) -> None:
        """The user has all: say that it is all."""
        if self._is_said or self._is_closing:
            self._pump.over(self)
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._left(is_lost=True)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, far
