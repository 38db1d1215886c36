"""Frames of a flow in a stream: whatever pieces they come in, the flow's bytes come out."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.relay.frames import END, HEADER, MAX_PAYLOAD, RAW, WHOLE, Unframer
from link.wire import WireError

ENDS: Final = (
    HEADER.pack(END),
    HEADER.pack(WHOLE),
    HEADER.pack(END) + HEADER.pack(WHOLE),
)


def frame(payload: bytes) -> bytes:
    return HEADER.pack(len(payload)) + payload


def feed(unframer: Unframer, data: bytes, cuts: list[int]) -> bytes:
    """Feed `data` in pieces of these sizes, the rest in one."""
    taken = b""
    for cut in cuts:
        taken += b"".join(unframer.feed(memoryview(data[:cut])))
        data = data[cut:]
    return taken + b"".join(unframer.feed(memoryview(data)))


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 9)), st.data()
)
def test_the_bytes_come_out_whatever_the_pieces(
    payloads: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    ending = data.draw(st.sampled_from([b"", *ENDS, HEADER.pack(RAW) + b"raw" * 9]))
    unframer = Unframer()
    taken = feed(unframer, b"".join(map(frame, payloads)) + ending, cuts)
    is_raw = ending.startswith(HEADER.pack(RAW))
    assert taken == b"".join(payloads) + (ending[HEADER.size :] if is_raw else b"")
    assert unframer.is_ended == (ending in ENDS)
    assert unframer.is_whole == (HEADER.pack(WHOLE) in ending)
    assert unframer.is_raw == is_raw


@given(st.binary(max_size=60), st.lists(st.integers(0, 9)))
def test_noise_is_refused_or_taken_but_breaks_nothing(noise: bytes, cuts: list[int]) -> None:
    unframer = Unframer()
    try:
        taken = feed(unframer, noise, cuts)
    except WireError:
        return
    assert len(taken) <= len(noise)


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(MAX_PAYLOAD + 1),
        HEADER.pack(END) + b"x",
        HEADER.pack(END) + HEADER.pack(END),
        HEADER.pack(WHOLE) + b"x",
        HEADER.pack(END) + HEADER.pack(WHOLE) + HEADER.pack(WHOLE),
        frame(b"whole") + HEADER.pack(END) + frame(b"more"),
    ],
)
def test_too_large_a_frame_or_more_after_the_end_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        Unframer().feed(memoryview(data))


def test_what_is_taken_another_way_is_counted_as_taken() -> None:
    unframer = Unframer()
    data = frame(b"by the kernel") + HEADER.pack(END)
    unframer.feed(memoryview(data[: HEADER.size + 3]))
    assert unframer.left == len("by the kernel") - 3
    unframer.skip(unframer.left)
    assert unframer.is_between_frames
    assert unframer.feed(memoryview(data[-HEADER.size :])) == []
    assert unframer.is_ended


def test_raw_is_an_error_where_it_may_not_be() -> None:
    with pytest.raises(WireError):
        Unframer(may_be_raw=False).feed(memoryview(HEADER.pack(RAW) + b"x"))


def test_a_frame_may_be_as_large_as_the_limit() -> None:
    unframer = Unframer()
    assert unframer.feed(memoryview(frame(bytes(MAX_PAYLOAD)))) == [bytes(MAX_PAYLOAD)]
    assert unframer.is_between_frames


def test_nothing_is_taken_after_the_end_though_it_looks_like_a_frame() -> None:
    unframer = Unframer()
    unframer.feed(memoryview(HEADER.pack(END)))
    with pytest.raises(WireError):
        unframer.feed(memoryview(frame(b"x")))
