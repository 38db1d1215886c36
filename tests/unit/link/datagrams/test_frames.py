"""Frames of a datagram stream: what is written is read, and what breaks a rule is refused."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.datagrams.frames import HEADER_SIZE, MAX_FLOW, MAX_FRAME, Kind, cut, header
from link.datagrams.sockets import LARGEST_DATAGRAM, MOST_SEGMENTS
from link.wire import WireError


class Written(NamedTuple):
    """A frame before it is written."""

    kind: Kind
    flow: int
    segment: int
    payload: bytes

    @property
    def on_the_wire(self) -> bytes:
        return header(self.kind, self.flow, len(self.payload), self.segment) + self.payload


def pattern(size: int, seed: int) -> bytes:
    """Bytes that differ from place to place, and from seed to seed."""
    return bytes((seed + i) % 251 for i in range(min(size, 251))) * (size // 251 + 1)


@st.composite
def trains(draw: st.DrawFn, most: int = LARGEST_DATAGRAM) -> Written:
    segment = draw(st.integers(0, 40) | st.integers(0, most))
    size = draw(st.integers(segment, min(segment * MOST_SEGMENTS, most)))
    payload = pattern(size, draw(st.integers(0, 250)))[:size]
    return Written(Kind.DATA, draw(st.integers(0, MAX_FLOW)), segment, payload)


def words() -> st.SearchStrategy[Written]:
    """Frames without a payload."""
    kinds = st.sampled_from([Kind.END, Kind.REFUSED, Kind.DROPPED, Kind.EVICTED])
    return st.builds(Written, kinds, st.integers(0, MAX_FLOW), st.just(0), st.just(b""))


def read(data: bytes) -> tuple[list[Written], int]:
    frames, used = cut(memoryview(data))
    return [Written(Kind(f.kind), f.flow, f.segment, bytes(f.payload)) for f in frames], used


@given(st.lists(trains() | words(), max_size=6))
def test_frames_are_read_as_they_were_written(written: list[Written]) -> None:
    data = b"".join(frame.on_the_wire for frame in written)
    assert read(data) == (written, len(data))


@given(st.lists(trains(most=40) | words(), max_size=4))
def test_a_cut_at_any_byte_gives_the_frames_before_it(written: list[Written]) -> None:
    data = b"".join(frame.on_the_wire for frame in written)
    ends = [0]
    for frame in written:
        ends.append(ends[-1] + len(frame.on_the_wire))
    for size in range(len(data) + 1):
        whole = sum(end <= size for end in ends) - 1
        assert read(data[:size]) == (written[:whole], ends[whole])


@given(trains())
def test_a_frame_knows_how_many_datagrams_it_carries(written: Written) -> None:
    frames, _ = cut(memoryview(written.on_the_wire))
    sizes = range(0, len(written.payload), written.segment) if written.segment else [0]
    assert frames[0].datagrams == len(sizes)


def test_a_header_has_the_layout_of_its_description() -> None:
    assert header(Kind.DATA, 0x01020304, 0x0506, 0x0102) == bytes.fromhex(
        "01020304 0506 0102 01 000000"
    )
    assert header(Kind.DROPPED, MAX_FLOW) == bytes.fromhex("ffffffff 0000 0000 04 000000")
    assert len(header(Kind.END, 1)) == HEADER_SIZE


def test_the_largest_datagram_fits_and_makes_the_longest_frame() -> None:
    largest = Written(Kind.DATA, MAX_FLOW, LARGEST_DATAGRAM, bytes(LARGEST_DATAGRAM))
    assert len(largest.on_the_wire) == MAX_FRAME
    assert read(largest.on_the_wire) == ([largest], MAX_FRAME)


@pytest.mark.parametrize(
    ("kind", "size", "segment"),
    [
        pytest.param(0, 0, 0, id="kind 0"),
        pytest.param(6, 0, 0, id="kind 6"),
        pytest.param(255, 0, 0, id="kind 255"),
        pytest.param(Kind.DATA, 1, 0, id="bytes in no datagram"),
        pytest.param(Kind.DATA, 0, 1, id="datagrams of nothing"),
        pytest.param(Kind.DATA, 9, 10, id="a datagram longer than all of them"),
        pytest.param(Kind.DATA, 10 * MOST_SEGMENTS + 1, 10, id="one datagram too many"),
        pytest.param(Kind.DATA, LARGEST_DATAGRAM + 1, LARGEST_DATAGRAM + 1, id="no datagram"),
        pytest.param(Kind.DATA, LARGEST_DATAGRAM + 1, 2000, id="a train over the limit"),
        pytest.param(Kind.END, 1, 1, id="an end with a payload"),
        pytest.param(Kind.REFUSED, 1, 0, id="a refusal with bytes"),
        pytest.param(Kind.DROPPED, 0, 1, id="a count with a segment"),
    ],
)
def test_a_malformed_header_is_refused_before_its_payload_comes(
    kind: int, size: int, segment: int
) -> None:
    with pytest.raises(WireError, match="a frame of"):
        read(header(kind, 1, size, segment))


@given(st.integers(0, 6), st.integers(0, 65535), st.integers(0, 65535) | st.integers(0, 2000))
def test_a_header_is_refused_exactly_if_it_breaks_a_rule(
    kind: int, size: int, segment: int
) -> None:
    is_train = kind == Kind.DATA and 0 < segment <= size
    fits = size <= LARGEST_DATAGRAM and size <= segment * MOST_SEGMENTS
    is_word = kind in (1, 2, 3, 4, 5) and not size and not segment
    data = struct.pack("!IHHB3x", 7, size, segment, kind) + bytes(size)
    if is_word or (is_train and fits):
        assert read(data) == ([Written(Kind(kind), 7, segment, bytes(size))], len(data))
    else:
        with pytest.raises(WireError):
            read(data)


def test_frames_before_a_malformed_one_do_not_save_it() -> None:
    good = Written(Kind.DATA, 1, 3, b"abc").on_the_wire
    with pytest.raises(WireError, match="unknown kind 9"):
        read(good + header(9, 1))


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_and_nothing_else(noise: bytes) -> None:
    try:
        frames, used = read(noise)
    except WireError:
        return
    assert sum(HEADER_SIZE + len(frame.payload) for frame in frames) == used
