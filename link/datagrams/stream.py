"""A stream that carries datagrams: frames out in few writes, frames in from few reads.

    send, or hold, send, … flush ─▶ one sendmsg ─▶ stream
                                        └─ what it does not take waits: at most BACKLOG_BYTES,
                                           the oldest frames are dropped first, and counted

Rules: without a stream attached frames wait in the same bounded queue. A frame that was begun is
finished before another, and never dropped. Each end tells the other how many datagrams it has
dropped, at most once in REPORT_SECONDS; that is read here and not handed on. Payloads
given to `send` need to live until it returns, or until `flush` if frames are held.

A lone frame costs one system call: it is sent at once, and a read that brings less than it could
have is not followed by another. Of an end that comes with the last bytes (a reset) some loops,
uvloop's, tell but once: so there is one more read a while after the last.

Limits: any asyncio loop with add_reader and add_writer; Python 3.9. Windows' has no sendmsg: there
a write copies its buffers into one.

Counterparts: `frames.py` is the format, `front.py` and `back.py` the two ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from link.datagrams.frames import (
    HEADER_SIZE,
    MAX_FRAME,
    Kind,
    OnData,
    OnWord,
    cut,
    header,
    is_lone,
    pack_header,
    scan,
)
from link.datagrams.gathering import Gathering
from link.datagrams.sockets import Buffer
from link.stream import take_early
from link.wire import WireError

__all__ = ["BACKLOG_BYTES", "DatagramStream"]

BACKLOG_BYTES: Final = 1 << 18
"""Bytes of frames that may wait for the stream. More would be old by the time it arrives."""
READ_BYTES: Final = 1 << 17
READS_PER_TURN: Final = 4
SECOND_LOOK_SECONDS: Final = 1.0
"""After a read, until one that makes sure that nothing was missed."""
REPORT_SECONDS: Final = 1.0
MOST_BUFFERS: Final = 512
"""Buffers in one sendmsg; the kernel takes 1024 (UIO_MAXIOV, linux/uio.h)."""


def _send_joined(sock: socket.socket, buffers: Sequence[Buffer]) -> int:
    return sock.send(b"".join(buffers))


_send: Final = getattr(socket.socket, "sendmsg", _send_joined)

_buffers: list[memoryview] = []
"""Memory to read into, kept for whoever reads next: one is in use at a time, but for a stream that
is drained while another's frames are handed on."""


class _Waiting(NamedTuple):
    """A frame that waits for the stream: what that has not got of it, and the datagrams in it.

    Of one that `is_begun` the stream has some bytes already.
    """

    data: bytes
    datagrams: int
    is_begun: bool


class DatagramStream:
    """See the module. `close` before dropping it.

    Attributes:
        is_attached: true while there is a stream.
        dropped_here: datagrams that this end did not pass on so far.
        dropped_there: the same of the other ends so far, as they told.
    """

    def __init__(self, on_data: OnData, on_word: OnWord, on_end: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._gathering = Gathering(on_data)
        self._on_word = on_word
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self.is_attached = False
        self._rest = b""
        self._held: list[Buffer] = []
        self._held_bytes = 0
        self._is_holding = False
        self._backlog: deque[_Waiting] = deque()
        self._backlog_bytes = 0
        self._is_writing = False
        self._is_reading = False
        self.dropped_here = 0
        self.dropped_there = 0
        self._dropped_earlier = 0
        self._reported = 0
        self._report: asyncio.TimerHandle | None = None
        self._second_look: asyncio.TimerHandle | None = None

    def attach(self, sock: socket.socket) -> None:
        """Use this stream, which is owned from now on; what waits is sent."""
        self._socket = sock
        self.is_attached = True
        self._rest, _ = take_early(sock)
        if self._rest:
            self._loop.call_soon(self._hand_on_early, sock)
        self._dropped_earlier = self.dropped_there
        self._reported = 0
        self._loop.add_reader(sock.fileno(), self._read)
        self._write_waiting()
        self._tell_later()

    def send(
        self, kind: int, flow: int, parts: Sequence[Buffer] = (), size: int = 0, segment: int = 0
    ) -> None:
        """Send a frame: now, or while frames are held with the next `flush`."""
        if self._is_holding:  # as of each datagram of many: `_add`, without a call
            self._held.append(pack_header(flow, size, segment, kind))
            self._held += parts
            self._held_bytes += size + HEADER_SIZE
            return
        buffers = (header(kind, flow, size, segment), *parts)
        size += HEADER_SIZE
        if self._backlog or self._socket is None or len(parts) >= MOST_BUFFERS:
            self._add(buffers, size)
            return
        try:
            sent = _send(self._socket, buffers)
        except OSError as error:
            sent = self._untaken(error)
        if sent < size:
            self._keep(buffers, sent)

    def send_words(self, kind: int, flows: Iterable[int]) -> None:
        """`send` a frame without payload for each of these flows."""
        words = [header(kind, flow) for flow in flows]
        self._add(words, HEADER_SIZE * len(words))

    def hold(self) -> None:
        """Hold frames from now on, so that they go out together."""
        self._is_holding = True

    def flush(self) -> None:
        """Send what was held, and hold no more."""
        self._is_holding = False
        held, self._held = self._held, []
        size, self._held_bytes = self._held_bytes, 0
        self._add(held, size)

    def lose(self, datagrams: int) -> None:
        """Count datagrams that this end could not pass on."""
        self.dropped_here += datagrams
        self._tell_later()

    def drain(self) -> None:
        """Hand on, now, what has arrived."""
        self._read()

    def close(self) -> None:
        """End the stream and forget what waits. No call-back comes any more."""
        self.detach()
        self._is_holding, self._held, self._held_bytes = False, [], 0
        self._backlog.clear()
        self._backlog_bytes = 0
        if self._report is not None:
            self._report.cancel()
            self._report = None

    def drop_waiting(self) -> None:
        """Give up on what waits."""
        self.lose(sum(waiting.datagrams for waiting in self._backlog))
        self._backlog.clear()
        self._backlog_bytes = 0

    def detach(self) -> None:
        """Close the stream only."""
        sock, self._socket = self._socket, None
        self.is_attached = False
        if sock is None:
            return
        self._loop.remove_reader(sock.fileno())
        if self._is_writing:
            self._loop.remove_writer(sock.fileno())
            self._is_writing = False
        if self._second_look is not None:
            self._second_look.cancel()
            self._second_look = None
        sock.close()
        if self._backlog and self._backlog[0].is_begun:
            self._forget_oldest()  # its beginning went with the old stream

    def _tell_later(self) -> None:
        is_news = self._socket is not None and self.dropped_here != self._reported
        if is_news and self._report is None:
            self._report = self._loop.call_later(REPORT_SECONDS, self._tell)

    def _tell(self) -> None:
        self._report = None
        if self._socket is not None:
            self._reported = self.dropped_here
            self.send(Kind.DROPPED, self._reported % 2**32)

    def _end(self, reason: str) -> None:
        self.detach()
        self._on_end(reason)

    # ---- out

    def _add(self, buffers: Sequence[Buffer], size: int) -> None:
        if self._is_holding:
            self._held += buffers
            self._held_bytes += size
            return
        sent = 0 if self._backlog or not size else self._write(buffers)
        if sent < size:
            self._keep(buffers, sent)

    def _write(self, buffers: Sequence[Buffer]) -> int:
        """Bytes that the stream took."""
        if self._socket is None:
            return 0
        if len(buffers) > MOST_BUFFERS:
            first, rest = buffers[:MOST_BUFFERS], buffers[MOST_BUFFERS:]
            sent = self._write(first)
            return sent if sent < sum(map(len, first)) else sent + self._write(rest)
        try:
            return _send(self._socket, buffers)
        except OSError as error:
            return self._untaken(error)

    def _untaken(self, error: OSError) -> int:
        """Bytes that the stream took of what it did not take."""
        if not isinstance(error, BlockingIOError):
            self._look_again()  # which finds the end
        return 0

    def _keep(self, buffers: Sequence[Buffer], sent: int) -> None:
        """Let frames wait, whose first `sent` bytes the stream has got."""
        data = b"".join(buffers)
        start = 0
        for frame in cut(memoryview(data))[0]:
            end = start + HEADER_SIZE + len(frame.payload)
            if end > sent:
                rest = data[max(start, sent) : end]
                self._backlog.append(_Waiting(rest, frame.datagrams, is_begun=start < sent))
                self._backlog_bytes += len(rest)
            start = end
        self._trim()
        self._watch()

    def _trim(self) -> None:
        """Drop the oldest frames over the limit, but for one that was begun."""
        if self._backlog_bytes <= BACKLOG_BYTES:
            return
        begun = self._backlog.popleft() if self._backlog[0].is_begun else None
        while self._backlog and self._backlog_bytes > BACKLOG_BYTES:
            self._forget_oldest()
        if begun is not None:
            self._backlog.appendleft(begun)

    def _forget_oldest(self) -> None:
        oldest = self._backlog.popleft()
        self._backlog_bytes -= len(oldest.data)
        self.lose(oldest.datagrams)

    def _watch(self) -> None:
        """Be told when the stream takes more, while something waits."""
        if self._socket is None or bool(self._backlog) is self._is_writing:
            return
        self._is_writing = not self._is_writing
        if self._is_writing:
            self._loop.add_writer(self._socket.fileno(), self._write_waiting)
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _write_waiting(self) -> None:
        sent = self._write([waiting.data for waiting in self._backlog]) if self._backlog else 0
        self._backlog_bytes -= sent
        while sent:
            data, datagrams, _ = self._backlog.popleft()
            if sent < len(data):
                self._backlog.appendleft(_Waiting(data[sent:], datagrams, is_begun=True))
            sent -= min(sent, len(data))
        self._watch()

    # ---- in

    def _read(self) -> None:
        if self._is_reading:
            return
        self._is_reading = True
        buffer = _buffers.pop() if _buffers else memoryview(bytearray(READ_BYTES + MAX_FRAME))
        reads = 1
        try:
            while self._receive(buffer):
                reads += 1
                if reads > READS_PER_TURN:
                    self._look_again()
                    return
        finally:
            _buffers.append(buffer)
            self._is_reading = False

    def _receive(self, buffer: memoryview) -> bool:
        """Read once, and hand on what that brings. True if there may be more."""
        sock, left = self._socket, len(self._rest)
        if sock is None:
            return False
        if left:
            buffer[:left] = self._rest
        try:
            size = sock.recv_into(buffer[left:] if left else buffer, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(f"the stream broke: {error.strerror}")
            return False
        if not size:
            self._end("the other end closed the stream")
            return False
        if self._second_look is None:
            self._second_look = self._loop.call_later(SECOND_LOOK_SECONDS, self._look_twice)
        used = self._hand_on(buffer, left + size)
        if self._socket is not sock:
            return False
        if left or used < size:
            self._rest = bytes(buffer[used : left + size])
        return size == READ_BYTES

    def _hand_on_early(self, sock: socket.socket) -> None:
        """Hand on what was read with the opening, unless more has come and it went with that."""
        rest = self._rest
        if self._socket is sock and rest and not self._is_reading:
            used = self._hand_on(memoryview(rest), len(rest))
            if self._socket is sock:
                self._rest = rest[used:]

    def _hand_on(self, buffer: memoryview, have: int) -> int:
        """Hand on the whole frames in the first `have` bytes: how many bytes they take."""
        try:
            if is_lone(buffer, have):
                return scan(buffer, have, self._on_data, self._word)
            return self._gather(buffer, have)
        except WireError as error:
            self._end(f"protocol error: {error}")
        except Exception:
            self._gathering.forget()
            self._end("what it carried could not be handled")  # and where it goes on is not known
            raise
        return have

    def _gather(self, buffer: memoryview, have: int) -> int:
        try:
            used = scan(buffer, have, self._gathering.add, self._word)
        except WireError:
            self._gathering.flush()  # what came before is right
            raise
        self._gathering.flush()
        return used

    def _word(self, kind: int, flow: int) -> None:
        self._gathering.flush()  # what came before it
        if kind == Kind.DROPPED:
            self.dropped_there = self._dropped_earlier + flow
        else:
            self._on_word(kind, flow)

    def _look_twice(self) -> None:
        self._second_look = None
        self._read()

    def _look_again(self) -> None:
        """Be told anew of what is left: of an end (reset) some loops, uvloop's, tell but once, and
        cannot watch for room any more afterwards.
        """
        if self._socket is None:
            return
        descriptor = self._socket.fileno()
        self._loop.remove_reader(descriptor)
        if self._is_writing:
            self._loop.remove_writer(descriptor)
        self._loop.add_reader(descriptor, self._read)
        if self._is_writing:
            self._loop.add_writer(descriptor, self._write_waiting)
