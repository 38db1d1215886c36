"""One end of a pipe with many streams, without I/O: what may be sent, and what has come.

    bytes ─▶ receive ─▶ events: Opened, Arrived, Granted, Ended, Closed, Broken
    open, end, close, reset, taken ─▶ control() ─▶ bytes that must be sent before anything else
    allowance(stream), data_header(stream, size) ─▶ what stands before `size` bytes of a stream

Rules: no clock and no sockets. An end sends no more of a stream than the other has given credit
for: at first FIRST_WINDOW bytes, and as many again as the reader has taken. So an end can always
read its pipe: what a reader leaves lying is bounded, and holds up nobody else.

The window of a stream whose reader keeps up grows to MAX_WINDOW, or to its share of EXTRA_MEMORY if
there are many streams, and shrinks again when its share does.

A stream is there until both ends have said their last word and its reader has taken all. Numbers
are never used again, so what was on its way to a stream that is gone is known as such, and dropped.

Limits: MAX_STREAMS at once; more are refused with RESET. Memory held for readers is at most
MAX_STREAMS times FIRST_WINDOW, and EXTRA_MEMORY. Counterparts: `frames.py`, `pump.py`.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Union

from link.mux.frames import (
    CLOSE,
    CREDIT,
    DATA,
    END,
    MAX_PAYLOAD,
    OPEN,
    PREAMBLE,
    RESET,
    FrameCutter,
    MuxError,
    Piece,
    header,
)

__all__ = [
    "EXTRA_MEMORY",
    "FIRST_WINDOW",
    "MAX_BACKLOG",
    "MAX_STREAMS",
    "MAX_WINDOW",
    "Arrived",
    "Broken",
    "Closed",
    "Ended",
    "Event",
    "Granted",
    "MuxSession",
    "Opened",
    "StreamLimitError",
]

MAX_STREAMS: Final = 4096
FIRST_WINDOW: Final = 1 << 15
"""Bytes of a new stream that may be sent before its reader has taken any."""
MAX_WINDOW: Final = 1 << 20
"""Bytes of a stream that may be under way: 1 GB/s at a round trip of 1 ms."""
KEEPS_UP: Final = 4
"""A reader that leaves less than this part of its window lying gets a larger one; to one that does
not read as fast as bytes come, it would only be more that waits."""
EXTRA_MEMORY: Final = 1 << 27
"""Bytes by which all windows together may be larger than at first."""
MAX_BACKLOG: Final = 1 << 20
"""Bytes of frames without payload that may wait to be sent: each stream has few at a time, so
more means that the other end asks without listening."""
_LAST_STREAM: Final = (1 << 32) - 1


class StreamLimitError(Exception):
    """No more streams can be opened now."""


class Opened(NamedTuple):
    """The other end has opened a stream."""

    stream: int


class Arrived(NamedTuple):
    """Bytes for a stream's reader: a part of what was fed. Say `taken` when it has them."""

    stream: int
    data: memoryview


class Granted(NamedTuple):
    """The stream's `allowance` was 0, and is not any more."""

    stream: int


class Ended(NamedTuple):
    """Nothing more will arrive; the other end still reads."""

    stream: int


class Closed(NamedTuple):
    """Nothing more will arrive, and the other end reads no more. What has arrived stands."""

    stream: int


class Broken(NamedTuple):
    """The stream is gone, and what has arrived is worth nothing."""

    stream: int


Event = Union[Opened, Arrived, Granted, Ended, Closed, Broken]


class _Stream:
    """What an end knows of a stream.

    Attributes:
        credit: bytes that may still be sent.
        granted: bytes that the other end may still send.
        held: bytes that have arrived and are not taken.
        owed: bytes taken for which no credit was given.
        window: granted, held and owed together.
        is_said: this end has said its last word, or nobody would hear it.
        is_heard: the other end has said its last word.
        is_deaf: the other end reads no more, so it has forgotten the stream.
    """

    __slots__ = ("credit", "granted", "held", "is_deaf", "is_heard", "is_said", "owed", "window")

    def __init__(self) -> None:
        self.credit = self.granted = self.window = FIRST_WINDOW
        self.held = self.owed = 0
        self.is_said = self.is_heard = self.is_deaf = False


class MuxSession:
    """One end. `opens` is True on the desktop's.

    Attributes:
        held: bytes that have arrived and are not taken, of all streams.
    """

    def __init__(self, *, opens: bool) -> None:
        self._opens = opens
        self._cutter = FrameCutter()
        self._streams: dict[int, _Stream] = {}
        self._newest = 0
        self._control = bytearray(PREAMBLE)
        self._credits: dict[int, int] = {}
        self._extra = 0
        self.held = 0

    @property
    def count(self) -> int:
        """Streams that are there."""
        return len(self._streams)

    @property
    def has_control(self) -> bool:
        """True if `control` has something."""
        return bool(self._control or self._credits)

    def open(self) -> int:
        """A new stream. Raises StreamLimitError."""
        if not self._opens:
            raise RuntimeError("only the desktop opens streams")
        is_full = len(self._streams) >= MAX_STREAMS or self._newest == _LAST_STREAM
        if is_full or len(self._control) * 2 > MAX_BACKLOG:
            raise StreamLimitError("there are too many streams in this pipe")
        self._newest += 1
        self._streams[self._newest] = _Stream()
        self._say(OPEN, self._newest)
        return self._newest

    def allowance(self, stream: int) -> int:
        """Bytes of a stream that may be sent in one frame now; 0 also when it is gone."""
        state = self._streams.get(stream)
        return min(state.credit, MAX_PAYLOAD) if state is not None and not state.is_said else 0

    def sent(self, stream: int, size: int) -> None:
        """A frame with so many bytes, at most `allowance`, follows what was sent so far."""
        self._streams[stream].credit -= size

    def end(self, stream: int) -> None:
        """Nothing more will be sent."""
        state = self._streams.get(stream)
        if state is not None and not state.is_said:
            state.is_said = True
            self._say(END, stream)
            self._forget_if_over(stream, state)

    def close(self, stream: int) -> None:
        """Nothing more will be sent or taken; what was sent stands."""
        self._leave(stream, CLOSE)

    def reset(self, stream: int) -> None:
        """Give a stream up."""
        self._leave(stream, RESET)

    def taken(self, stream: int, size: int) -> None:
        """The reader has so many of the bytes that arrived; it gets credit for more."""
        state = self._streams.get(stream)
        if state is None:
            return
        state.held -= size
        self.held -= size
        if state.is_heard:
            self._forget_if_over(stream, state)
            return
        state.owed += size
        if state.owed * 2 >= state.window:
            self._grant(stream, state)

    def control(self) -> bytes:
        """What must be sent before anything else; it counts as sent now."""
        for stream, amount in self._credits.items():
            self._control += header(CREDIT, stream, amount)
        self._credits.clear()
        due = bytes(self._control)
        self._control.clear()
        return due

    def receive(self, data: memoryview) -> list[Event]:
        """What has come. Raises MuxError, after which the pipe must be ended."""
        events: list[Event] = []
        for piece in self._cutter.feed(data):
            if piece.kind == OPEN:
                self._opened(piece.stream, events)
                continue
            state = self._streams.get(piece.stream)
            if state is not None:
                self._received(piece, state, events)
            elif not 0 < piece.stream <= self._newest:
                raise MuxError(f"stream {piece.stream} was never opened")
        if len(self._control) > MAX_BACKLOG:
            raise MuxError("the other end does not read what it asks for")
        return events

    def _opened(self, stream: int, events: list[Event]) -> None:
        if self._opens:
            raise MuxError("the agent opened a stream")
        if stream != self._newest + 1:
            raise MuxError(f"stream {stream} was opened after stream {self._newest}")
        self._newest = stream
        if len(self._streams) >= MAX_STREAMS:
            self._say(RESET, stream)
            return
        self._streams[stream] = _Stream()
        events.append(Opened(stream))

    def _received(self, piece: Piece, state: _Stream, events: list[Event]) -> None:
        stream = piece.stream
        if state.is_deaf:
            raise MuxError(f"stream {stream} went on after it was closed")
        if piece.kind == CREDIT:
            self._credited(stream, state, piece.size, events)
        elif piece.kind == RESET:
            self._forget(stream, state)
            events.append(Broken(stream))
        elif piece.data:
            events.append(Arrived(stream, piece.data))
        elif state.is_heard and piece.kind != CLOSE:
            raise MuxError(f"stream {stream} went on after its end")
        elif piece.kind == DATA:
            self._charge(stream, state, piece.size)
        else:
            self._last_word(piece, state, events)

    def _credited(self, stream: int, state: _Stream, size: int, events: list[Event]) -> None:
        if state.credit + size > MAX_WINDOW:
            raise MuxError(f"stream {stream} was given too much credit")
        if not state.credit and not state.is_said:
            events.append(Granted(stream))
        state.credit += size

    def _charge(self, stream: int, state: _Stream, size: int) -> None:
        """A frame has begun: all of it counts as arrived."""
        if size > state.granted:
            raise MuxError(f"stream {stream} has sent more than it had credit for")
        state.granted -= size
        state.held += size
        self.held += size

    def _last_word(self, piece: Piece, state: _Stream, events: list[Event]) -> None:
        stream = piece.stream
        state.is_heard = True
        self._credits.pop(stream, None)
        if piece.kind == CLOSE:
            state.is_said = state.is_deaf = True
            events.append(Closed(stream))
        else:
            events.append(Ended(stream))
        self._forget_if_over(stream, state)

    def _grant(self, stream: int, state: _Stream) -> None:
        """Give credit for what is owed, and more or less if the window changes."""
        share = FIRST_WINDOW + EXTRA_MEMORY // len(self._streams)
        keeps_up = state.held * KEEPS_UP <= state.window
        wanted = min(state.window * 2 if keeps_up else state.window, MAX_WINDOW, share)
        change = min(wanted - state.window, EXTRA_MEMORY - self._extra)
        change = max(change, -state.owed)
        state.window += change
        self._extra += change
        amount, state.owed = state.owed + change, 0
        state.granted += amount
        if amount:
            self._credits[stream] = self._credits.get(stream, 0) + amount

    def _leave(self, stream: int, kind: int) -> None:
        state = self._streams.get(stream)
        if state is None:
            return
        if not state.is_deaf and not (state.is_said and state.is_heard):
            self._say(kind, stream)
        self._forget(stream, state)

    def _forget_if_over(self, stream: int, state: _Stream) -> None:
        if state.is_said and state.is_heard and not state.held:
            self._forget(stream, state)

    def _forget(self, stream: int, state: _Stream) -> None:
        del self._streams[stream]
        self._credits.pop(stream, None)
        self._extra -= state.window - FIRST_WINDOW
        self.held -= state.held

    def _say(self, kind: int, stream: int) -> None:
        self._control += header(kind, stream)
