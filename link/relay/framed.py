"""The two directions of a flow that has a stream on one side.

    ToStream puts the bytes into frames, FromStream takes them out again; once a direction is RAW
    both do as `Half` does. In frames, too, bulk is spliced: what a pipe got from the source is a
    frame. To copy it takes three times the CPU.

Rules: those of `halves.py`; and nothing of the next flow is read here, since that comes only after
WHOLE, which ends this one. Counterparts: `frames.py` has the format, `splice.py` the flow.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from link.dial import is_connected
from link.readiness import SHORT_TURNS
from link.relay.frames import END, HEADER, RAW, WHOLE, Unframer
from link.relay.halves import COPY_SIZE, SMALL, Half
from link.relay.relay import StreamGoneError, linger_not
from link.stream import may_be_raw, may_come_home
from link.wire import OPEN_SIZE, WireError

if TYPE_CHECKING:
    from link.relay.splice import SpliceRelay

__all__ = ["RAW_AFTER", "WHOLE_WORD", "FromStream", "ToStream", "say_early", "send_opening"]

RAW_AFTER: Final = 1 << 19
"""Bytes of a flow in one direction after which the stream is given up for splicing them: by then
a stream dialled anew costs little beside moving them."""

WHOLE_WORD: Final = HEADER.pack(WHOLE)
_END: Final = HEADER.pack(END)
_MORE: Final = 0x8000
"""MSG_MORE, linux/socket.h"""
_HEADER_SIZE: Final = HEADER.size
_pack_header: Final = HEADER.pack_into
_unpack_header: Final = HEADER.unpack_from


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
            self.is_ended = True
            self.pass_end()
            return False
        self.count += size
        if size == COPY_SIZE:
            return self._copy_full()
        self.bulk = False
        if size < SMALL:
            relay.readiness.short_turns = SHORT_TURNS
        if relay.before_words is not None:
            relay.before_words()
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
        flow.has_said_whole = is_whole = self._says_whole()
        _pack_header(relay.frame, size, WHOLE if is_whole else END)
        self.is_ended = self.is_done = True
        self.deliver(relay.frame[: size + _HEADER_SIZE])
        if not self.is_blocked:
            self.pass_end()
        return False

    def _says_whole(self) -> bool:
        """True if the stream will be free with the end that is said now, and is wanted."""
        twin = self.twin
        is_free = self.flow.is_served and twin.is_done and not twin.is_blocked
        return is_free and may_come_home(self.sink)

    def _copy_full(self) -> bool:
        """Send a full read, and give the frames up once there have been many."""
        self.bulk = self.count >= RAW_AFTER
        if self.bulk and may_be_raw(self.sink):
            self.is_raw = True
            linger_not(self.sink)  # from now on its end-of-file is the flow's
        frame = self.relay.frame
        _pack_header(frame, 0, RAW if self.is_raw else COPY_SIZE)
        self.deliver(frame[: _HEADER_SIZE + COPY_SIZE])
        return True

    def fill(self, most: int) -> int:
        """See `Half.fill`. The frame's header goes first."""
        size = super().fill(most)
        if size > 0 and not self.is_raw:
            self._send_header(size)
            if self.is_ended:  # the sink is gone
                return -1
        return size

    def _send_header(self, size: int) -> None:
        """Say that so many bytes follow, in the same packets as they."""
        header = HEADER.pack(size)
        try:
            sent = self.sink.send(header, _MORE)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.flow.sink_failed(self)
            return
        if sent < _HEADER_SIZE:
            self.keep(header[sent:])

    def pass_end(self) -> None:
        """See `Half.pass_end`: without a reset or bulk the stream outlives the flow."""
        if self.is_raw:
            super().pass_end()
            return
        flow, twin = self.flow, self.twin
        if flow.is_failing or flow.is_over:
            return
        if not self.is_done:
            self.is_done = True
            flow.has_said_whole = is_whole = self._says_whole()
            self.deliver(WHOLE_WORD if is_whole else _END)
        if twin.is_done and not self.is_blocked and not twin.is_blocked and not flow.is_failing:
            flow.finish()
        elif self.is_hung_up and not twin.is_done:
            flow.sink_failed(twin)


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


def say_early(server: socket.socket, early: bytes) -> int | None:
    """Say what came with an opening: how much of it the server took, or -1 if it is gone.

    None if that is not one whole frame: then nothing is said.
    """
    if len(early) <= _HEADER_SIZE or _unpack_header(early)[0] != len(early) - _HEADER_SIZE:
        return None
    try:
        return server.send(early[_HEADER_SIZE:])
    except BlockingIOError:  # it may connect yet
        return 0
    except OSError:
        return -1


class FromStream(Half):
    """The direction out of the stream.

    Attributes:
        is_drained: the last read left nothing behind.
        unframer: takes frames apart; None between two of them, and after RAW.
        has_end: the end came in a frame, so the stream may carry another flow.
    """

    __slots__ = ("has_end", "is_drained", "unframer")

    def __init__(self, relay: SpliceRelay) -> None:
        super().__init__(relay)
        self.unframer: Unframer | None = None
        self.is_drained = True
        self.has_end = False

    def pass_end(self) -> None:
        """See `Half.pass_end`. A server that is still being dialled is told once it is there."""
        if not self.count and self.flow.is_served and not is_connected(self.sink):
            self.wait_for_sink()
        else:
            Half.pass_end(self)

    def copy(self) -> bool:
        """See `Half.copy`."""
        if self.is_raw:
            return super().copy()
        room = self.relay.payload
        most = COPY_SIZE
        if self.bulk:
            # Not beyond the header, if the kernel is to move what follows.
            room = room[: self.unframer.needed if self.unframer else _HEADER_SIZE]
            most = len(room)
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
        self.is_drained = is_drained = size < most
        self.bulk = not is_drained and self.count >= RAW_AFTER
        if self.unframer is None and size >= _HEADER_SIZE:
            word = _unpack_header(room)[0]
            if word + _HEADER_SIZE == size and word:  # a whole frame: a question, or an answer
                self._deliver_frame(room[_HEADER_SIZE:size])
                return not self.is_ended and (self.ending or not is_drained)
            if self._took_end(room, size, word):
                return not self.is_ended and (self.ending or not is_drained)
        self._unframe(room[:size])
        return self.ending or not is_drained

    def splice_turn(self, most: int) -> None:
        """See `Half.splice_turn`. Headers and small frames are copied."""
        if self.is_raw:
            super().splice_turn(most)
            return
        start = self.count
        while self.count - start < most and not self.is_raw:
            unframer = self.unframer
            if unframer is None or unframer.left < COPY_SIZE:
                if not self.copy():
                    self._free_pipe()
                    return
            else:
                size = self.fill(min(unframer.left, most))
                if size <= 0:
                    self.pause(self.count - start, is_at_end=size == 0)
                    return
                unframer.skip(size)
                if not self.empty():
                    return
            if self.is_blocked or self.is_ended:
                self._free_pipe()
                return
        self.end_turn()

    def begin(self, early: bytes, said: int | None) -> None:
        """Take what was read with the opening, of which `say_early` told how much it `said`."""
        if said is None:
            self._unframe(memoryview(early))
            return
        self.count = len(early) - _HEADER_SIZE
        if said < 0:
            self.flow.sink_failed(self)
        elif said < self.count:
            self.keep(early[_HEADER_SIZE + said :])

    def _took_end(self, room: memoryview, size: int, word: int) -> bool:
        """Take an end, alone or behind one frame, if that is just what came."""
        end = word + _HEADER_SIZE
        last_word = END if self.flow.is_served else WHOLE
        if size == _HEADER_SIZE and word == last_word:
            self._at_end()
        elif word and end + _HEADER_SIZE == size and _unpack_header(room, end)[0] == last_word:
            self._deliver_frame(room[_HEADER_SIZE:end])
            self._at_end()
        else:
            return False
        return True

    def _deliver_frame(self, payload: memoryview | bytes) -> None:
        """Deliver one whole frame."""
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
            self.has_end = self.is_ended = True
            if not self.is_blocked:
                self.pass_end()

    def is_gone(self) -> bool:
        """See `Half.is_gone`. Behind an end in a frame a stream does not end before the flow."""
        return self.is_hung_up if self.is_raw else self.ending

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
            linger_not(self.source)
        elif unframer.is_ended:
            self._at_end()
        elif unframer.is_between_frames:
            self.unframer = None
