"""The wire format of a datagram stream, which begins where an `OpenRequest` for UDP ends.

    flow (4) | size (2) | segment (2) | kind (1) | 3 bytes of zero | `size` bytes

DATA carries a train: datagrams of `segment` bytes each, the last perhaps shorter; both numbers
0 for one empty datagram. END: that flow is over on the sender's side. REFUSED: the flow's server
is not there (ICMP), for now. DROPPED: the sender has dropped `flow` datagrams so far, modulo
2**32. EVICTED: as END, since that flow had to make room for another. Flows are numbered by the
client's side.

Rules: pure; bytes in, frames out; what breaks a rule raises `WireError`, which ends the stream.
A frame is never longer than MAX_FRAME. Counterparts: `stream.py` moves the bytes, `link.wire`
has the opening.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from link.datagrams.sockets import LARGEST_DATAGRAM, MOST_SEGMENTS, datagrams_in
from link.wire import WireError

__all__ = [
    "DATA",
    "HEADER_SIZE",
    "MAX_FLOW",
    "MAX_FRAME",
    "Frame",
    "Kind",
    "OnData",
    "OnWord",
    "cut",
    "header",
    "is_lone",
    "pack_header",
    "scan",
]

_HEADER: Final = struct.Struct("!IHHB3x")
_unpack: Final = _HEADER.unpack_from
pack_header: Final = _HEADER.pack
"""Of flow, bytes of payload, bytes of each datagram, kind: `header` without a call of Python."""
HEADER_SIZE: Final = _HEADER.size
MAX_FRAME: Final = HEADER_SIZE + LARGEST_DATAGRAM
MAX_FLOW: Final = 2**32 - 1


class Kind(IntEnum):
    """What a frame says."""

    DATA = 1
    END = 2
    REFUSED = 3
    DROPPED = 4
    EVICTED = 5


DATA: Final = int(Kind.DATA)
"""The kind of nearly all frames, as the plain number that costs least to compare."""


class Frame(NamedTuple):
    """One frame. `payload` is a view into what `cut` was given."""

    kind: int
    flow: int
    segment: int
    payload: memoryview

    @property
    def datagrams(self) -> int:
        """How many datagrams it carries."""
        return datagrams_in(len(self.payload), self.segment) if self.kind == DATA else 0


OnData = Callable[[int, int, memoryview], None]
"""Told of DATA: the flow, bytes of each datagram, and those of all; see `Frame`."""
OnWord = Callable[[int, int], None]
"""Told of another frame: its kind, and the flow or number."""


def header(kind: int, flow: int, size: int = 0, segment: int = 0) -> bytes:
    """The bytes that come before the payload."""
    return _HEADER.pack(flow, size, segment, kind)


def is_lone(data: memoryview, have: int) -> bool:
    """True if the first `have` bytes are one frame."""
    return have >= HEADER_SIZE and _unpack(data)[1] + HEADER_SIZE == have


def scan(data: memoryview, have: int, on_data: OnData, on_word: OnWord) -> int:
    """Hand on the whole frames in the first `have` bytes, in order; how many bytes they take.

    Raises WireError for the first that breaks the rules.
    """
    start, begin = 0, HEADER_SIZE
    while begin <= have:
        flow, size, segment, kind = _unpack(data, start)
        if size != segment or kind != DATA or size > LARGEST_DATAGRAM:
            _check(kind, size, segment)
        end = begin + size
        if end > have:
            break
        if kind == DATA:
            on_data(flow, segment, data[begin:end])
        else:
            on_word(kind, flow)
        start, begin = end, end + HEADER_SIZE
    return start


def cut(data: memoryview) -> tuple[list[Frame], int]:
    """The whole frames at the start of `data`, in order, and how many bytes they take.

    Raises WireError for the first that breaks the rules.
    """
    frames: list[Frame] = []
    used = scan(
        data,
        len(data),
        lambda flow, segment, payload: frames.append(Frame(DATA, flow, segment, payload)),
        lambda kind, flow: frames.append(Frame(kind, flow, 0, data[:0])),
    )
    return frames, used


def _check(kind: int, size: int, segment: int) -> None:
    """Judge a frame."""
    if not DATA <= kind <= Kind.EVICTED:
        raise WireError(f"a frame of unknown kind {kind}")
    is_train = 0 < segment <= size <= min(segment * MOST_SEGMENTS, LARGEST_DATAGRAM)
    if (size or segment) and not (is_train and kind == DATA):
        raise WireError(f"a frame of kind {kind} with {size} bytes in datagrams of {segment}")
