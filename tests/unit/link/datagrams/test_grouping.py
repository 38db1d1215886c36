"""Trains from messages: what comes out of them is what went in, datagram by datagram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.datagrams.grouping import LARGEST_TRAIN, group, group_alike
from link.datagrams.sockets import LARGEST_DATAGRAM, MOST_SEGMENTS, Train

Datagram = tuple[object, bytes]
Message = tuple[object, bytes, int]

KEYS = st.sampled_from([b"one", b"two"])
SIZES = st.sampled_from([0, 1, 2, 10, 100, 1472, 30_000, LARGEST_TRAIN, LARGEST_DATAGRAM])


@st.composite
def single(draw: st.DrawFn) -> Message:
    """A message that is one datagram."""
    size = draw(SIZES)
    return draw(KEYS), bytes([draw(st.integers(0, 255))]) * size, size


@st.composite
def merged(draw: st.DrawFn) -> Message:
    """A message that the kernel has merged from several datagrams; the last may be shorter."""
    segment = draw(st.sampled_from([1, 2, 3, 10, 100, 500]))
    count = draw(st.integers(1, 2 * MOST_SEGMENTS - 1))
    last = draw(st.integers(1, segment))
    data = b"".join(bytes([i]) * segment for i in range(count)) + b"z" * last
    return draw(KEYS), data, segment


MESSAGES = st.lists(single() | merged(), max_size=20)


def views(messages: Iterable[Message]) -> list[tuple[object, memoryview, int]]:
    return [(key, memoryview(data), segment) for key, data, segment in messages]


def trains_of(messages: Iterable[Message]) -> list[Train]:
    return list(group(views(messages)))


def split(key: object, data: bytes, segment: int) -> list[Datagram]:
    if not segment:
        assert data == b""
        return [(key, b"")]
    return [(key, data[i : i + segment]) for i in range(0, len(data), segment)]


def datagrams_in(messages: Iterable[Message]) -> list[Datagram]:
    return [each for message in messages for each in split(*message)]


def datagrams_out(trains: Iterable[Train]) -> list[Datagram]:
    out = []
    for train in trains:
        data = b"".join(train.parts)
        assert len(data) == train.size
        pieces = split(train.key, data, train.segment)
        assert len(pieces) == train.datagrams
        out += pieces
    return out


def shapes(trains: Sequence[Train]) -> list[tuple[int, int]]:
    """(datagrams, bytes of each) of trains."""
    return [(train.datagrams, train.segment) for train in trains]


@given(MESSAGES)
def test_trains_hold_the_datagrams_that_came_in_their_order(messages: list[Message]) -> None:
    assert datagrams_out(trains_of(messages)) == datagrams_in(messages)


@given(MESSAGES)
def test_no_train_is_over_the_limits(messages: list[Message]) -> None:
    for train in trains_of(messages):
        assert train.datagrams <= MOST_SEGMENTS
        assert train.size <= LARGEST_TRAIN or train.datagrams == 1


@given(st.integers(0, 70_000 // 64) | SIZES, st.integers(1, 64))
def test_datagrams_alike_give_the_trains_that_any_datagrams_give(size: int, count: int) -> None:
    slots = [memoryview(bytes([i]) * size) for i in range(64)]
    alike = group_alike(b"key", slots, count, size)
    ordinary = list(group((b"key", slot, size) for slot in slots[:count]))
    assert alike == ordinary
    assert datagrams_out(alike) == [(b"key", bytes([i]) * size) for i in range(count)]


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (64, 200, [64, 64, 64, 8]),
        (1400, 100, [46, 46, 8]),
        (32_753, 4, [2, 2]),
        (32_754, 2, [1, 1]),
        (LARGEST_TRAIN, 2, [1, 1]),
        (LARGEST_DATAGRAM, 2, [1, 1]),
    ],
)
def test_neighbours_of_one_flow_and_size_travel_in_as_few_trains_as_the_limits_allow(
    size: int, count: int, expected: list[int]
) -> None:
    trains = trains_of([(b"key", bytes(size), size)] * count)
    assert shapes(trains) == [(each, size) for each in expected]


def test_a_shorter_datagram_ends_a_train_and_a_longer_one_begins_another() -> None:
    sizes = [10, 10, 3, 10, 20, 20]
    trains = trains_of([(b"key", bytes(size), size) for size in sizes])
    assert shapes(trains) == [(3, 10), (1, 10), (2, 20)]


def test_another_flow_ends_a_train() -> None:
    messages = [(key, bytes(5), 5) for key in (b"a", b"a", b"b", b"a")]
    assert shapes(trains_of(messages)) == [(2, 5), (1, 5), (1, 5)]


def test_an_empty_datagram_is_a_train_of_its_own() -> None:
    sizes = [0, 0, 4, 0, 4]
    trains = trains_of([(b"key", bytes(size), size) for size in sizes])
    assert shapes(trains) == [(1, 0), (1, 0), (1, 4), (1, 0), (1, 4)]


def test_small_datagrams_that_the_kernel_merged_are_not_taken_for_one() -> None:
    messages = [(b"key", bytes(100), 100), (b"key", bytes(30), 10)]
    assert shapes(trains_of(messages)) == [(1, 100), (3, 10)]


def test_a_run_longer_than_a_train_is_parted() -> None:
    """Newer kernels merge up to 128 datagrams (UDP_MAX_SEGMENTS, linux/udp.h)."""
    messages = [(b"key", bytes(1275), 10), (b"key", bytes(10), 10)]
    assert shapes(trains_of(messages)) == [(64, 10), (64, 10), (1, 10)]


def test_nothing_gives_no_train() -> None:
    assert trains_of([]) == []
