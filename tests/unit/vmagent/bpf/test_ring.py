"""Reading a ring buffer, in memory that the test writes as the kernel would."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from vmagent.bpf.ring import BUSY, DISCARD, RingReader

SIZE = 64
"""Bytes of the ring: a power of two."""


class Ring:
    """The kernel's end."""

    def __init__(self, start: int = 0) -> None:
        self.memory = bytearray(2 * SIZE)
        self.consumer = bytearray(struct.pack("=Q", start))
        self.producer = bytearray(struct.pack("=Q", start))
        self.position = start
        self.reader = self.new_reader(self.order)

    def new_reader(self, order: Callable[[], object]) -> RingReader:
        memory = memoryview(self.consumer), memoryview(self.producer), memoryview(self.memory)
        return RingReader(*memory, order)

    def order(self) -> None:
        """Memory of the test is in order."""

    def write(self, data: bytes, bits: int = 0) -> int:
        """Add a record; where its header is."""
        place = self.position % SIZE
        record = struct.pack("=II", len(data) | bits, 0) + data
        for index, byte in enumerate(record):
            # The same memory is mapped twice in a row.
            for copy in (0, SIZE):
                self.memory[(place + index) % SIZE + copy] = byte
        self.position += (len(record) + 7) & ~7
        self.announce(self.position)
        return place

    def announce(self, position: int) -> None:
        self.producer[:] = struct.pack("=Q", position)

    def commit(self, place: int, length: int) -> None:
        """Say that a record is written."""
        for copy in (0, SIZE):
            struct.pack_into("=I", self.memory, place + copy, length)

    @property
    def consumed(self) -> int:
        return int(struct.unpack("=Q", self.consumer)[0])


def test_records_come_in_order_and_their_room_is_given_back() -> None:
    ring = Ring()
    ring.write(b"12345678")
    ring.write(b"abc")
    assert ring.reader.read(9) == [b"12345678", b"abc"]
    assert ring.consumed == 32
    assert ring.reader.read(9) == []


def test_an_empty_ring_gives_nothing_and_writes_nothing() -> None:
    ring = Ring()
    ring.consumer[:] = b"\xff" * 8
    assert ring.reader.read(9) == []
    assert ring.consumer == b"\xff" * 8


def test_the_position_is_read_before_what_it_announces() -> None:
    ring = Ring()
    ring.write(b"first")
    reader = ring.new_reader(lambda: ring.write(b"late"))
    assert reader.read(9) == [b"first"]
    assert ring.consumed == 16


def test_a_reader_takes_up_where_the_last_one_was() -> None:
    ring = Ring()
    ring.write(b"old")
    ring.reader.read(9)
    ring.write(b"new")
    again = ring.new_reader(ring.order)
    assert again.read(9) == [b"new"]


def test_nothing_is_read_behind_a_record_that_is_still_being_written() -> None:
    ring = Ring()
    ring.write(b"done")
    place = ring.write(b"busy", BUSY)
    ring.write(b"behind")
    assert ring.reader.read(9) == [b"done"]
    assert ring.reader.read(9) == []
    assert ring.consumed == 16
    ring.commit(place, 4)
    assert ring.reader.read(9) == [b"busy", b"behind"]


def test_a_record_that_was_given_up_is_skipped() -> None:
    ring = Ring()
    ring.write(b"first")
    ring.write(b"never mind", DISCARD)
    ring.write(b"last")
    assert ring.reader.read(9) == [b"first", b"last"]
    assert ring.consumed == 16 + 24 + 16


def test_a_read_is_bounded_and_the_next_one_goes_on() -> None:
    ring = Ring()
    for text in (b"1", b"2", b"3"):
        ring.write(text)
    assert ring.reader.read(2) == [b"1", b"2"]
    assert ring.consumed == 32
    assert ring.reader.read(2) == [b"3"]


@pytest.mark.parametrize("start", [SIZE - 8, SIZE - 16, 5 * SIZE - 24, (1 << 40) * SIZE - 8])
def test_a_record_across_the_end_lies_in_one_piece(start: int) -> None:
    ring = Ring(start)
    ring.write(b"0123456789abcdef")
    ring.write(b"next")
    assert ring.reader.read(9) == [b"0123456789abcdef", b"next"]
    assert ring.consumed == start + 24 + 16


def test_many_rounds_lose_nothing() -> None:
    ring = Ring()
    for number in range(1000):
        text = str(number).encode() * (number % 4)
        ring.write(text)
        assert ring.reader.read(9) == [text]


def test_a_released_reader_holds_no_memory() -> None:
    ring = Ring()
    with pytest.raises(BufferError):
        ring.consumer.append(0)
    ring.reader.release()
    with pytest.raises(ValueError, match="released"):
        ring.reader.read(9)
