"""How the bytes of a flow lie in a stream, so that the stream outlives the flow.

    size (4 bytes, big-endian) | size bytes       some of the flow's bytes
    END (0)                                       there are no more
    WHOLE (2^32 - 2)                              from the end that was opened: there are no more,
                                                  and it has your END: the stream is free
    RAW (2^32 - 1)                                what follows is the flow's, up to the stream's end

Rules: bytes in, values out; no I/O, no clock. Each direction is framed by itself. After END nothing
comes but WHOLE, or the next opening; and that only after WHOLE, since what was sent before END may
still wait for a slow program. RAW is for bulk: the kernel moves it unseen, and end-of-file of the
stream is that of the flow; such a stream carries no other flow afterwards. Where a stream may not
be RAW, that is against the rules. A stream that ends between its frames has lost the flow, since
whoever ends one in order says so. Who has said WHOLE does not end it, since the next opening may be
on its way: an end that does not want the stream again says END, and ends it then.

Counterparts: `splice.py` and `portable.py` send and take them, `opening.py` begins a flow.
"""

from __future__ import annotations

import struct
from typing import Final

from link.wire import WireError

__all__ = ["END", "HEADER", "MAX_PAYLOAD", "RAW", "WHOLE", "Unframer"]

HEADER: Final = struct.Struct("!I")
END: Final = 0
WHOLE: Final = 0xFFFFFFFE
RAW: Final = 0xFFFFFFFF
_WHOLE: Final = HEADER.pack(WHOLE)
MAX_PAYLOAD: Final = 1 << 20
"""Bytes in one frame: far more than anybody reads at once."""


class Unframer:
    """Cuts what a stream brings into the flow's bytes. RAW is an error unless it `may_be_raw`.

    Attributes:
        is_ended: END came, or WHOLE. Nothing more is taken but that.
        is_whole: WHOLE came. Nothing more is taken.
        is_raw: RAW came. There are no frames any more.
    """

    __slots__ = ("_header", "_left", "_may_be_raw", "is_ended", "is_raw", "is_whole")

    def __init__(self, *, may_be_raw: bool = True) -> None:
        self._may_be_raw = may_be_raw
        self._header = b""
        self._left = 0
        self.is_ended = False
        self.is_whole = False
        self.is_raw = False

    @property
    def is_between_frames(self) -> bool:
        """True if no frame is under way."""
        return not self._left and not self._header

    @property
    def left(self) -> int:
        """Bytes of the flow that this frame still has."""
        return self._left

    def skip(self, size: int) -> None:
        """So many of them were taken another way."""
        self._left -= size

    @property
    def needed(self) -> int:
        """Bytes to take so as not to go beyond this frame, which may be the last."""
        return self._left or HEADER.size - len(self._header)

    def feed(self, data: memoryview) -> list[memoryview]:
        """The flow's bytes in `data`, as parts of it. Raises WireError."""
        position, size = 0, len(data)
        parts = []
        while position < size:
            if self.is_whole:
                raise WireError("a flow went on after its end")
            if self.is_raw:
                parts.append(data[position:])
                break
            if not self._left:
                position = self._read_header(data, position)
                continue
            end = min(position + self._left, size)
            parts.append(data[position:end])
            self._left -= end - position
            position = end
        return parts

    def _read_header(self, data: memoryview, position: int) -> int:
        """Take a header, or the part of it that is there; where it ends in `data`."""
        end = min(position + HEADER.size - len(self._header), len(data))
        header = self._header + data[position:end]
        if self.is_ended and not _WHOLE.startswith(header):
            raise WireError("a flow went on after its end")
        if len(header) < HEADER.size:
            self._header = header
            return end
        self._header = b""
        (size,) = HEADER.unpack(header)
        if size in (END, WHOLE):
            self.is_ended = True
            self.is_whole = size == WHOLE
        elif size == RAW and self._may_be_raw:
            self.is_raw = True
        elif size > MAX_PAYLOAD:
            raise WireError(f"a frame of {size} bytes is over the limit of {MAX_PAYLOAD}")
        else:
            self._left = size
        return end
