"""Frames and openings: what is written is read, and nothing else is."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.wire import MAX_MESSAGE, OPEN_SIZE, FrameReader, OpenRequest, WireError, encode_frame

objects = st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=20), max_size=5)


@given(st.lists(objects, max_size=5), st.integers(1, 50))
def test_messages_survive_any_cutting_of_the_stream(
    messages: list[dict[str, Any]], chunk: int
) -> None:
    data = b"".join(encode_frame(message) for message in messages)
    reader = FrameReader()
    seen: list[dict[str, Any]] = []
    for start in range(0, len(data), chunk):
        seen += reader.feed(data[start : start + chunk])
    assert seen == messages


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(WireError, match="over the limit"):
        FrameReader().feed(struct.pack("!I", MAX_MESSAGE + 1))


def test_a_message_too_long_to_send_is_refused() -> None:
    with pytest.raises(WireError, match="over the limit"):
        encode_frame({"text": "x" * MAX_MESSAGE})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"1", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        FrameReader().feed(struct.pack("!I", len(body)) + body)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_opening_is_read_as_it_was_written(address: Any, port: int) -> None:
    request = OpenRequest(str(address), port)
    data = request.encode()
    assert len(data) == OPEN_SIZE
    assert OpenRequest.decode(data) == request


@given(st.binary(max_size=64))
def test_noise_is_no_opening_or_a_valid_one(noise: bytes) -> None:
    try:
        request = OpenRequest.decode(noise)
    except WireError:
        return
    assert request.port > 0
    assert request.protocol == "tcp"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(OPEN_SIZE),
        OpenRequest("127.0.0.1", 1).encode()[:-1],
        OpenRequest("127.0.0.1", 1).encode() + b"x",
        struct.pack("!BBBxH16s", 0x4F, 6, 5, 80, bytes(16)),
        struct.pack("!BBBxH16s", 0x4F, 99, 4, 80, bytes(16)),
        struct.pack("!BBBxH16s", 0x4F, 6, 4, 0, bytes(16)),
    ],
)
def test_a_malformed_opening_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        OpenRequest.decode(data)
