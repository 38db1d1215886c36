"""The bounded queue of received datagrams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from desktop.datagrams import queue
from desktop.datagrams.queue import MOST_BYTES, MOST_DATAGRAMS, Datagram, DatagramQueue

SENDER = ("192.0.2.1", 7)


def datagram(number: int, size: int = 4) -> Datagram:
    return Datagram(number.to_bytes(4, "big").ljust(size, b"."), SENDER)


def test_what_was_put_in_is_taken_out_once_and_in_order() -> None:
    waiting = DatagramQueue()
    for number in range(10):
        waiting.put(datagram(number))
    assert waiting.take_all() == [datagram(number) for number in range(10)]
    assert waiting.take_all() == []
    assert waiting.dropped == 0


def test_of_too_many_the_newest_survive_and_the_others_are_counted() -> None:
    waiting = DatagramQueue()
    for number in range(20_000):
        waiting.put(datagram(number))
    assert len(waiting) == MOST_DATAGRAMS
    assert waiting.dropped == 20_000 - MOST_DATAGRAMS
    newest = range(20_000 - MOST_DATAGRAMS, 20_000)
    assert waiting.take_all() == [datagram(number) for number in newest]


def test_large_datagrams_are_bounded_by_their_bytes() -> None:
    waiting = DatagramQueue()
    for number in range(1000):
        waiting.put(datagram(number, 65_507))
    assert len(waiting) == MOST_BYTES // 65_507
    assert waiting.dropped == 1000 - len(waiting)
    assert waiting.take_all()[-1] == datagram(999, 65_507)


def test_what_is_forgotten_is_neither_dropped_nor_in_the_way() -> None:
    waiting = DatagramQueue()
    for number in range(MOST_DATAGRAMS):
        waiting.put(datagram(number))
    waiting.clear()
    for number in range(MOST_DATAGRAMS):
        waiting.put(datagram(number))
    assert waiting.dropped == 0


@given(st.lists(st.integers(0, queue.MOST_BYTES // 3) | st.just(-1), max_size=30))
def test_it_never_holds_more_than_its_bounds_and_never_nothing_after_a_put(
    sizes: list[int],
) -> None:
    waiting, taken, put = DatagramQueue(), 0, 0
    for size in sizes:
        if size < 0:
            taken += len(waiting.take_all())
            continue
        waiting.put(Datagram(bytes(size), SENDER))
        put += 1
        assert len(waiting) >= 1
    held = waiting.take_all()
    assert sum(len(each.payload) for each in held) <= MOST_BYTES
    assert taken + len(held) + waiting.dropped == put
