"""Frames of one read, gathered by flow: the same datagrams in fewer trains."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from link.datagrams.gathering import Gathering
from link.datagrams.grouping import LARGEST_TRAIN
from link.datagrams.sockets import MOST_SEGMENTS, datagrams_in

Frame = tuple[int, int, bytes]
"""Flow, bytes of each datagram, and those of all."""

FLOWS = st.integers(1, 4)
SEGMENTS = st.sampled_from([1, 2, 3, 100, 1400, 30_000])


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A train of one flow, or a single datagram, which may be empty."""
    segment, flow = draw(SEGMENTS), draw(FLOWS)
    count = draw(st.integers(0, min(MOST_SEGMENTS, LARGEST_TRAIN // segment)))
    if not count:
        return flow, 0, b""
    size = segment * count - draw(st.integers(0, segment - 1))
    number = bytes([draw(st.integers(0, 255))])
    return (flow, min(segment, size), number * size)


def gathered(*sent: Frame) -> list[Frame]:
    """The trains that are handed on."""
    trains: list[Frame] = []
    gathering = Gathering(lambda *train: trains.append((train[0], train[1], bytes(train[2]))))
    for flow, segment, payload in sent:
        gathering.add(flow, segment, memoryview(payload))
    gathering.flush()
    return trains


def by_flow(trains: list[Frame]) -> dict[int, list[bytes]]:
    """Each flow's datagrams, in order."""
    datagrams: defaultdict[int, list[bytes]] = defaultdict(list)
    for flow, segment, payload in trains:
        for index in range(datagrams_in(len(payload), segment)):
            datagrams[flow].append(payload[index * segment : (index + 1) * segment])
    return dict(datagrams)


@given(st.lists(frames(), max_size=30))
def test_each_flow_has_its_datagrams_whole_and_in_order(sent: list[Frame]) -> None:
    assert by_flow(gathered(*sent)) == by_flow(sent)


@given(st.lists(frames(), max_size=30))
def test_no_train_is_over_the_limits_and_there_are_never_more(sent: list[Frame]) -> None:
    trains = gathered(*sent)
    assert len(trains) <= len(sent)
    for _flow, segment, payload in trains:
        assert datagrams_in(len(payload), segment) <= MOST_SEGMENTS
        assert len(payload) <= LARGEST_TRAIN or len(payload) == segment


def test_flows_that_speak_in_turn_get_a_train_each() -> None:
    sent = [(flow, 200, bytes([turn]) * 200) for turn in range(10) for flow in range(1, 65)]
    whole = b"".join(bytes([turn]) * 200 for turn in range(10))
    assert gathered(*sent) == [(flow, 200, whole) for flow in range(1, 65)]


def test_a_shorter_datagram_ends_a_train_and_an_empty_one_is_its_own() -> None:
    sent = [(1, 3, b"abc"), (1, 2, b"de"), (1, 3, b"fgh"), (1, 0, b""), (1, 3, b"ijk")]
    assert gathered(*sent) == [(1, 3, b"abcde"), (1, 3, b"fgh"), (1, 0, b""), (1, 3, b"ijk")]


def test_what_was_handed_on_or_forgotten_does_not_come_again() -> None:
    trains: list[Frame] = []
    gathering = Gathering(lambda *train: trains.append((train[0], train[1], bytes(train[2]))))
    gathering.add(1, 1, memoryview(b"a"))
    gathering.flush()
    gathering.add(1, 1, memoryview(b"b"))
    gathering.forget()
    gathering.flush()
    assert trains == [(1, 1, b"a")]
