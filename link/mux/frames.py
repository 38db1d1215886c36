"""How many streams lie in one pipe: a preamble, then frames.

    preamble (8 bytes), and then again and again
    kind (1 byte) | size or amount (3 bytes, big-endian) | stream (4 bytes, big-endian) | payload

    OPEN      a new stream; from the desktop only, numbered 1, 2, 3 … and never again
    DATA      `size` bytes of the stream
    CREDIT    `amount` more bytes of the stream may be sent
    END       no more comes from this end; it still reads
    CLOSE     no more comes from this end, and it reads no more; what it had sent stands
    RESET     the same, and what it had sent may be dropped

Rules: bytes in, values out; no I/O, no clock. What breaks the format raises MuxError, which ends
that pipe and nothing else. What comes before the preamble is skipped, up to MAX_NOISE bytes: a
banner, or the last words of a shell.

Counterpart: `session.py` gives the frames their meaning.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from link.wire import WireError

__all__ = [
    "CLOSE",
    "CREDIT",
    "DATA",
    "END",
    "HEADER_SIZE",
    "MAX_NOISE",
    "MAX_PAYLOAD",
    "OPEN",
    "PREAMBLE",
    "RESET",
    "FrameCutter",
    "MuxError",
    "Piece",
    "header",
    "header_into",
]

PREAMBLE: Final = b"\0SMUX1\r\n"
"""What translates line ends or stops at a zero byte shows here (as PNG's signature does, RFC 2083
section 12.11) and not in somebody's data."""
MAX_NOISE: Final = 1 << 16
"""Bytes that may come before the preamble."""
MAX_PAYLOAD: Final = 1 << 17
"""Bytes in one DATA frame."""

OPEN: Final = 1
DATA: Final = 2
CREDIT: Final = 3
END: Final = 4
CLOSE: Final = 5
RESET: Final = 6

_HEADER: Final = struct.Struct("!II")
HEADER_SIZE: Final = _HEADER.size
_KIND_SHIFT: Final = 24
_SIZE_MASK: Final = (1 << _KIND_SHIFT) - 1
_WITH_SIZE: Final = (DATA, CREDIT)


class MuxError(WireError):
    """The other end broke the rules of the pipe, which must be ended."""


class Piece(NamedTuple):
    """A frame, or for DATA first the frame (`data` is empty) and then its bytes as they come."""

    kind: int
    size: int
    stream: int
    data: memoryview


_NOTHING: Final = memoryview(b"")


def header(kind: int, stream: int, size: int = 0) -> bytes:
    """A frame without payload, or what stands before one."""
    return _HEADER.pack(kind << _KIND_SHIFT | size, stream)


def header_into(buffer: memoryview, position: int, size: int, stream: int) -> None:
    """Write what stands before `size` bytes of DATA into a buffer."""
    _HEADER.pack_into(buffer, position, DATA << _KIND_SHIFT | size, stream)


class FrameCutter:
    """Cuts what a pipe brings into frames. Holds a part of one header, and no payload."""

    __slots__ = ("_header", "_is_begun", "_left", "_noise", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._is_begun = False
        self._noise = 0
        self._left = 0
        self._stream = 0

    def feed(self, data: memoryview) -> list[Piece]:
        """What `data` brings, as parts of it. Raises MuxError."""
        pieces: list[Piece] = []
        position = 0 if self._is_begun else self._begin(data)
        size = len(data)
        while position < size:
            if self._left:
                end = min(position + self._left, size)
                pieces.append(Piece(DATA, end - position, self._stream, data[position:end]))
                self._left -= end - position
                position = end
                continue
            if not self._header and size - position >= HEADER_SIZE:
                pieces.append(self._take(*_HEADER.unpack_from(data, position)))
                position += HEADER_SIZE
                continue
            end = min(position + HEADER_SIZE - len(self._header), size)
            self._header += data[position:end]
            position = end
            if len(self._header) == HEADER_SIZE:
                pieces.append(self._take(*_HEADER.unpack(self._header)))
                self._header = b""
        return pieces

    def _begin(self, data: memoryview) -> int:
        """Skip what comes before the preamble; where in `data` the frames begin."""
        seen = self._header + data
        place = seen.find(PREAMBLE)
        if place >= 0:
            before = len(self._header)
            self._header = b""
            self._is_begun = True
            return place + len(PREAMBLE) - before
        self._noise += len(data)
        if self._noise > MAX_NOISE:
            raise MuxError("the other end does not begin as a pipe with streams does")
        self._header = seen[-len(PREAMBLE) + 1 :]
        return len(data)

    def _take(self, word: int, stream: int) -> Piece:
        """A header."""
        kind, size = word >> _KIND_SHIFT, word & _SIZE_MASK
        if not OPEN <= kind <= RESET:
            raise MuxError(f"a frame of the unknown kind {kind}")
        if (kind in _WITH_SIZE) != bool(size):
            raise MuxError(f"a frame of kind {kind} has the size {size}")
        if kind == DATA:
            if size > MAX_PAYLOAD:
                raise MuxError(f"a frame of {size} bytes is over the limit of {MAX_PAYLOAD}")
            self._left, self._stream = size, stream
        return Piece(kind, size, stream, _NOTHING)
