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
from enum import IntEnum
from typing import Final, NamedTuple

from link.datagrams.sockets import LARGEST_DATAGRAM, MOST_SEGMENTS
from link.wire import WireError

__all__ = ["HEADER_SIZE", "MAX_FLOW", "MAX_FRAME", "Frame", "Kind", "cut", "header"]

_HEADER: Final = struct.Struct("!IHHB3x")
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


class Frame(NamedTuple):
    """One frame. `payload` is a view into what `cut` was given."""

    kind: int
    flow: int
    segment: int
    payload: memoryview

    @property
    def datagrams(self) -> int:
        """How many datagrams it carries."""
        return -(-len(self.payload) // self.segment) if self.segment else 1


def header(kind: int, flow: int, size: int = 0, segment: int = 0) -> bytes:
    """The bytes that come before the payload."""
    return _HEADER.pack(flow, size, segment, kind)


def cut(data: memoryview) -> tuple[list[Frame], int]:
    """The whole frames at the start of `data`, in order, and how many bytes they take.

    Raises WireError for the first that breaks the rules.
    """
    frames: list[Frame] = []
    start, last = 0, len(data) - HEADER_SIZE
    while start <= last:
        flow, size, segment, kind = _HEADER.unpack_from(data, start)
        is_train = kind == Kind.DATA and 0 < segment <= size <= segment * MOST_SEGMENTS
        if not is_train or size > LARGEST_DATAGRAM:
            _check(kind, size, segment)
        end = start + HEADER_SIZE + size
        if end > len(data):
            break
        frames.append(Frame(kind, flow, segment, data[start + HEADER_SIZE : end]))
        start = end
    return frames, start


def _check(kind: int, size: int, segment: int) -> None:
    """Judge a frame that is no ordinary train."""
    if not Kind.DATA <= kind <= Kind.EVICTED:
        raise WireError(f"a frame of unknown kind {kind}")
    if size or segment:
        raise WireError(f"a frame of kind {kind} with {size} bytes in datagrams of {segment}")
