"""From single messages to trains: neighbours of one flow and one size travel together.

Rules: pure; the order of datagrams is kept, also between flows. A train ends with a datagram
that is shorter than the others, at LARGEST_TRAIN bytes, or at MOST_SEGMENTS datagrams; an empty
datagram is a train of its own. Counterpart: `linux.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from link.datagrams.sockets import MOST_SEGMENTS, ClientKey, Train

__all__ = ["LARGEST_TRAIN", "group", "group_alike"]

LARGEST_TRAIN: Final = 65_507
"""Bytes that one call with UDP_SEGMENT takes: those of the largest IPv4 datagram (udp(7))."""

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
            and size + more <= _most(segment)
        ):
            parts.append(payload)
            size += more
            continue
        if parts:
            yield Train(key, parts, size, segment)
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
    """The trains of `count` datagrams of one client and one size: the first bytes of `payloads`."""
    parts = [payload[:segment] for payload in payloads[:count]]
    if not segment:
        return [Train(key, [part], 0, 0) for part in parts]
    step = max(_most(segment) // segment, 1)
    return [
        Train(key, parts[i : i + step], len(parts[i : i + step]) * segment, segment)
        for i in range(0, count, step)
    ]


def _parted(key: ClientKey, payload: memoryview, segment: int) -> list[Train]:
    """The trains of a run that the kernel merged: newer ones merge more than a train holds."""
    step = _most(segment) // segment * segment
    pieces = (payload[start : start + step] for start in range(0, len(payload), step))
    return [Train(key, [piece], len(piece), segment) for piece in pieces]


def _most(segment: int) -> int:
    return min(LARGEST_TRAIN, segment * MOST_SEGMENTS)
