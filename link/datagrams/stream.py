"""A stream that carries datagrams: frames out in few writes, frames in from few reads.

    add, add, … flush ─▶ one sendmsg ─▶ stream
                             └─ what it does not take waits: at most BACKLOG_BYTES,
                                the oldest frames are dropped first, and counted

Rules: without a stream attached frames wait in the same bounded queue. A frame that was begun is
finished before another, and never dropped. Each end tells the other how many datagrams it has
dropped, at most once in REPORT_SECONDS; that is read here and not handed on. Payloads
given to `add` need to live until `flush` only.

Limits: any asyncio loop with add_reader and add_writer; Python 3.9.

Counterparts: `frames.py` is the format, `front.py` and `back.py` the two ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Union

from link.datagrams.frames import HEADER_SIZE, MAX_FRAME, Frame, Kind, cut, header
from link.wire import WireError

__all__ = ["BACKLOG_BYTES", "DatagramStream"]

BACKLOG_BYTES: Final = 1 << 18
"""Bytes of frames that may wait for the stream. More would be old by the time it arrives."""
READ_BYTES: Final = 1 << 17
READS_PER_TURN: Final = 4
REPORT_SECONDS: Final = 1.0
MOST_BUFFERS: Final = 512
"""Buffers in one sendmsg; the kernel takes 1024 (UIO_MAXIOV, linux/uio.h)."""

Buffer = Union[bytes, memoryview]

_buffers: list[memoryview] = []
"""Memory to read into, kept for whoever reads next: one is in use at a time, but for a stream that
is drained while another's frames are handed on."""


class _Outgoing(NamedTuple):
    """A frame on its way: its bytes in pieces, how many those are, and the datagrams in it.

    Of one that `is_begun` the stream has some bytes already.
    """

    buffers: Sequence[Buffer]
    size: int
    datagrams: int
    is_begun: bool = False


class DatagramStream:
    """See the module. `close` before dropping it.

    Attributes:
        dropped_here: datagrams that this end did not pass on so far.
        dropped_there: the same of the other ends so far, as they told.
    """

    def __init__(
        self, on_frames: Callable[[list[Frame]], None], on_end: Callable[[str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frames = on_frames
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self._rest = b""
        self._fresh: list[_Outgoing] = []
        self._backlog: deque[_Outgoing] = deque()
        self._backlog_bytes = 0
        self._is_writing = False
        self.dropped_here = 0
        self.dropped_there = 0
        self._dropped_earlier = 0
        self._reported = 0
        self._report: asyncio.TimerHandle | None = None

    @property
    def is_attached(self) -> bool:
        """True while there is a stream."""
        return self._socket is not None

    def attach(self, sock: socket.socket) -> None:
        """Use this stream, which is owned from now on; what waits is sent."""
        self._socket = sock
        self._rest = b""
        self._dropped_earlier = self.dropped_there
        self._reported = 0
        self._loop.add_reader(sock.fileno(), self._read)
        self._write()
        self._tell_later()

    def add(
        self, kind: Kind, flow: int, parts: Sequence[Buffer] = (), size: int = 0, segment: int = 0
    ) -> None:
        """Send a frame with the next `flush`."""
        count = 0 if kind is not Kind.DATA else -(-size // segment) if segment else 1
        buffers = (header(kind, flow, size, segment), *parts)
        self._fresh.append(_Outgoing(buffers, HEADER_SIZE + size, count))

    def flush(self) -> None:
        """Send what was added, or keep what the stream does not take."""
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        if self._socket is not None and not self._backlog:
            fresh = self._send(fresh)
            if not fresh:
                return
        for outgoing in fresh:
            self._keep(outgoing)
        self._trim()
        self._watch()

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
        self._fresh.clear()
        self._backlog.clear()
        self._backlog_bytes = 0
        if self._report is not None:
            self._report.cancel()
            self._report = None

    def drop_waiting(self) -> None:
        """Give up on what waits."""
        self.lose(sum(outgoing.datagrams for outgoing in self._backlog))
        self._backlog.clear()
        self._backlog_bytes = 0

    def detach(self) -> None:
        """Close the stream only."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self._loop.remove_reader(sock.fileno())
        if self._is_writing:
            self._loop.remove_writer(sock.fileno())
            self._is_writing = False
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
            self.add(Kind.DROPPED, self._reported % 2**32)
            self.flush()

    def _end(self, reason: str) -> None:
        self.detach()
        self._on_end(reason)

    # ---- out

    def _send(self, frames: Sequence[_Outgoing]) -> list[_Outgoing]:
        """Send frames, the first of which may have been begun; what is left of them."""
        buffers = [buffer for outgoing in frames for buffer in outgoing.buffers]
        sent = self._send_buffers(buffers)
        if sent == sum([outgoing.size for outgoing in frames]):
            return []
        left: list[_Outgoing] = []
        for outgoing in frames:
            if sent >= outgoing.size:
                sent -= outgoing.size
            elif sent > 0:
                rest = b"".join(outgoing.buffers)[sent:]
                left.append(_Outgoing((rest,), len(rest), outgoing.datagrams, True))
                sent = 0
            else:
                left.append(outgoing)
        return left

    def _send_buffers(self, buffers: Sequence[Buffer]) -> int:
        """Bytes that the stream took; its failure shows when it is read."""
        if self._socket is None:
            return 0
        total = 0
        for start in range(0, len(buffers), MOST_BUFFERS):
            part = buffers[start : start + MOST_BUFFERS]
            try:
                sent = self._socket.sendmsg(part)
            except OSError:
                break
            total += sent
            if len(part) == MOST_BUFFERS and sent < sum(map(len, part)):
                break
        return total

    def _keep(self, outgoing: _Outgoing) -> None:
        data = b"".join(outgoing.buffers)
        self._backlog.append(outgoing._replace(buffers=(data,)))
        self._backlog_bytes += len(data)

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
        self._backlog_bytes -= oldest.size
        self.lose(oldest.datagrams)

    def _watch(self) -> None:
        """Be told when the stream takes more, while something waits."""
        if self._socket is None or bool(self._backlog) is self._is_writing:
            return
        self._is_writing = not self._is_writing
        if self._is_writing:
            self._loop.add_writer(self._socket.fileno(), self._write)
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _write(self) -> None:
        waiting, self._backlog = self._backlog, deque()
        self._backlog_bytes = 0
        for outgoing in self._send(waiting):
            self._keep(outgoing)
        self._watch()

    # ---- in

    def _read(self) -> None:
        for _ in range(READS_PER_TURN):
            if self._socket is None:
                return
            buffer = _buffers.pop() if _buffers else memoryview(bytearray(READ_BYTES + MAX_FRAME))
            try:
                if not self._receive(self._socket, buffer):
                    return
            finally:
                _buffers.append(buffer)
        self._look_again()

    def _receive(self, sock: socket.socket, buffer: memoryview) -> bool:
        """One read, and what it brings. False if there is nothing more."""
        have = len(self._rest)
        buffer[:have] = self._rest
        try:
            size = sock.recv_into(buffer[have : have + READ_BYTES])
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(f"the stream broke: {error.strerror}")
            return False
        if not size:
            self._end("the other end closed the stream")
            return False
        self._take(buffer[: have + size])
        return True

    def _look_again(self) -> None:
        """Be told anew of what is left: of an end (reset) some loops, uvloop's, tell but once."""
        if self._socket is None:
            return
        descriptor = self._socket.fileno()
        self._loop.remove_reader(descriptor)
        if self._is_writing:
            self._loop.remove_writer(descriptor)
        self._loop.add_reader(descriptor, self._read)
        if self._is_writing:
            self._loop.add_writer(descriptor, self._write)

    def _take(self, data: memoryview) -> None:
        """Hand on the frames in what was read, and keep what is left of them."""
        try:
            frames, used = cut(data)
        except WireError as error:
            self._end(f"protocol error: {error}")
            return
        heard = [frame for frame in frames if frame.kind != Kind.DROPPED]
        if len(heard) < len(frames):
            told = [frame.flow for frame in frames if frame.kind == Kind.DROPPED]
            self.dropped_there = self._dropped_earlier + told[-1]
        self._rest = bytes(data[used:])
        if heard:
            self._on_frames(heard)
