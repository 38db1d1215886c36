"""From single messages to trains: neighbours of one flow and one size travel together.

Rules: pure; the order of datagrams is kept, also between flows. A train ends with a datagram
that is shorter than the others, at LARGEST_TRAIN bytes, or at MOST_SEGMENTS datagrams; an empty
datagram is a train of its own. Counterpart: `linux.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from link.datagrams.sockets import MOST_SEGMENTS, Buffer, ClientKey, Train

__all__ = ["LARGEST_TRAIN", "group", "group_alike", "most_bytes"]

LARGEST_TRAIN: Final = 65_507
"""Bytes that one call with UDP_SEGMENT takes: those of the largest IPv4 datagram (udp(7))."""

_train: Final[Callable[[tuple[ClientKey, Sequence[Buffer], int, int]], Train]] = partial(
    tuple.__new__, Train
)
"""`Train` itself is written in Python, and takes three times as long."""

Message = tuple[ClientKey, memoryview, int]
"""Whose it is, its bytes, and the size of the datagrams in it (its own if it is one)."""


def group(messages: Iterable[Message]) -> Iterator[Train]:
    """The trains of messages, in their order."""
    key: ClientKey = None
    segment = size = 0
    parts: list[memoryview] = []
    for its_key, payload, its_segment in messages:
        more = len(payload)
        if (
            segment
            and its_key == key
            and size % segment == 0
            and (its_segment == segment or 0 < more == its_segment < segment)
            and size + more <= most_bytes(segment)
        ):
            parts.append(payload)
            size += more
            continue
        if parts:
            yield _train((key, parts, size, segment))
        if more > its_segment:
            *full, last = _parted(its_key, payload, its_segment)
            yield from full
            payload, more = payload[more - last.size :], last.size
        key, segment, size, parts = its_key, its_segment, more, [payload]
    if parts:
        yield Train(key, parts, size, segment)


def group_alike(
    key: ClientKey, payloads: Sequence[memoryview], count: int, segment: int
) -> list[Train]:
    """The trains of `count` datagrams of one client and one size: the first of `payloads`."""
    parts = payloads[:count]
    if not segment:
        return [Train(key, [part], 0, 0) for part in parts]
    step = max(most_bytes(segment) // segment, 1)
    return [
        Train(key, parts[i : i + step], len(parts[i : i + step]) * segment, segment)
        for i in range(0, count, step)
    ]


def _parted(key: ClientKey, payload: memoryview, segment: int) -> list[Train]:
    """The trains of a run that the kernel merged: newer ones merge more than a train holds."""
    step = most_bytes(segment) // segment * segment
    pieces = (payload[start : start + step] for start in range(0, len(payload), step))
    return [Train(key, [piece], len(piece), segment) for piece in pieces]


def most_bytes(segment: int) -> int:
    """Bytes that a train of datagrams of this size may have."""
    return min(LARGEST_TRAIN, segment * MOST_SEGMENTS)
