"""Two ends of a pipe: whatever happens on it, a stream brings what was sent, within its credit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link.mux.frames import (
    CLOSE,
    CREDIT,
    DATA,
    END,
    HEADER_SIZE,
    MAX_NOISE,
    MAX_PAYLOAD,
    OPEN,
    PREAMBLE,
    RESET,
    MuxError,
    header,
)
from link.mux.session import (
    EXTRA_MEMORY,
    FIRST_WINDOW,
    MAX_BACKLOG,
    MAX_STREAMS,
    MAX_WINDOW,
    Arrived,
    Broken,
    Closed,
    Ended,
    Event,
    Granted,
    MuxSession,
    Opened,
    StreamLimitError,
)
from link.wire import WireError


class End:
    """One end with its readers: what it sent and got, and what waits in its pipe."""

    def __init__(self, *, opens: bool) -> None:
        self.session = MuxSession(opens=opens)
        self.pipe = b""
        self.sent: dict[int, bytes] = {}
        self.said: dict[int, type] = {}
        self.waiting: dict[int, bytes] = {}
        self.taken: dict[int, bytes] = {}
        self.heard: dict[int, type] = {}

    def open(self) -> int:
        stream = self.session.open()
        self.sent[stream] = self.waiting[stream] = self.taken[stream] = b""
        return stream

    def send(self, stream: int, data: bytes) -> int:
        """Send as much as may be sent at once; how much that was."""
        self.flush()
        size = min(self.session.allowance(stream), len(data))
        if size:
            self.session.sent(stream, size)
            self.pipe += header(DATA, stream, size) + data[:size]
            self.sent[stream] += data[:size]
        return size

    def say(self, stream: int, word: type) -> None:
        """Say a last word."""
        if word is Ended:
            self.session.end(stream)
        elif word is Closed:
            self.session.close(stream)
        else:
            self.session.reset(stream)
        if self.said.get(stream) in (None, Ended):
            self.said[stream] = word

    def take(self, stream: int, size: int) -> None:
        """The reader takes up to so many bytes."""
        data, self.waiting[stream] = self.waiting[stream][:size], self.waiting[stream][size:]
        self.taken[stream] += data
        if data:
            self.session.taken(stream, len(data))

    def flush(self) -> None:
        self.pipe += self.session.control()

    def feed(self, data: bytes) -> list[Event]:
        events = self.session.receive(memoryview(data))
        for event in events:
            if isinstance(event, Opened):
                self.sent[event.stream] = self.waiting[event.stream] = b""
                self.taken[event.stream] = b""
            elif isinstance(event, Arrived):
                self.waiting[event.stream] += event.data
            elif not isinstance(event, Granted):
                self.heard[event.stream] = type(event)
        return events


def carry(source: End, sink: End, size: int | None = None) -> list[Event]:
    """Bring what is in a pipe, or some of it, to the other end."""
    source.flush()
    size = len(source.pipe) if size is None else size
    data, source.pipe = source.pipe[:size], source.pipe[size:]
    return sink.feed(data)


def ends() -> tuple[End, End]:
    return End(opens=True), End(opens=False)


def opened() -> tuple[End, End, int]:
    """Two ends with a stream."""
    desktop, agent = ends()
    stream = desktop.open()
    carry(desktop, agent)
    carry(agent, desktop)
    return desktop, agent, stream


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["open", "send", "send", "take", "carry", "carry", "end", "close", "reset"]
        ),
        st.booleans(),
        st.integers(0, 5),
        st.integers(1, 3 * FIRST_WINDOW),
    ),
    max_size=60,
)


def step(both: tuple[End, End], what: str, is_agent: bool, index: int, size: int) -> None:
    end, other = both[is_agent], both[not is_agent]
    if what == "open":
        both[0].open()
    elif what == "carry":
        carry(end, other, size)
    elif end.sent:
        stream = list(end.sent)[index % len(end.sent)]
        if what == "send":
            end.send(stream, bytes([stream % 256]) * size)
        elif what == "take":
            end.take(stream, size)
        else:
            end.say(stream, {"end": Ended, "close": Closed, "reset": Broken}[what])


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_each_stream_brings_what_was_sent_and_nothing_waits_for_ever(
    steps: list[tuple[str, bool, int, int]],
) -> None:
    both = ends()
    for each in steps:
        step(both, *each)
        assert all(end.session.held <= sum(MAX_WINDOW for _ in end.sent) for end in both)
    # Now all is carried, and every reader takes what there is.
    for _ in range(8):
        carry(both[0], both[1])
        carry(both[1], both[0])
        for end in both:
            for stream in end.waiting:
                end.take(stream, len(end.waiting[stream]))
    for end, other in (both, both[::-1]):
        for stream, data in end.sent.items():
            got = other.taken[stream]
            assert data.startswith(got)
            is_whole = {end.said.get(stream), other.said.get(stream)} <= {None, Ended}
            if is_whole:
                assert got == data
                assert other.heard.get(stream) == end.said.get(stream)
                if stream not in end.said:
                    assert end.session.allowance(stream) > 0
            elif end.said.get(stream) is Closed and other.said.get(stream) in (None, Ended):
                assert got == data
                both_ended = Ended in (other.said.get(stream), other.heard[stream])
                assert other.heard[stream] is Closed or both_ended
    alive = {
        stream
        for stream in both[0].sent
        if {both[0].said.get(stream), both[1].said.get(stream)} <= {None, Ended}
        and not (stream in both[0].said and stream in both[1].said)
    }
    assert [end.session.count for end in both] == [len(alive)] * 2


@given(st.lists(st.integers(1, 40), min_size=1), st.binary(max_size=300))
def test_where_the_pipe_is_cut_makes_no_difference(cuts: list[int], noise: bytes) -> None:
    desktop, agent = ends()
    for number in (1, 2, 3):
        stream = desktop.open()
        desktop.send(stream, bytes([number]) * 33 * number)
    desktop.say(1, Ended)
    desktop.say(2, Closed)
    desktop.flush()
    desktop.pipe = noise.replace(PREAMBLE[:1], b"") + desktop.pipe
    place = 0
    while desktop.pipe:
        carry(desktop, agent, cuts[place % len(cuts)])
        place += 1
    assert agent.waiting == {number: bytes([number]) * 33 * number for number in (1, 2, 3)}
    assert agent.heard == {1: Ended, 2: Closed}


def test_an_end_sends_what_it_has_credit_for_and_more_once_the_reader_has_taken_some() -> None:
    desktop, agent, stream = opened()
    assert desktop.send(stream, bytes(FIRST_WINDOW + 1)) == FIRST_WINDOW
    assert desktop.send(stream, b"x") == 0
    carry(desktop, agent)
    agent.take(stream, FIRST_WINDOW // 2)
    assert carry(agent, desktop) == [Granted(stream)]
    assert desktop.send(stream, b"x") == 1


def test_a_stream_that_nobody_reads_holds_up_no_other() -> None:
    desktop, agent, stalled = opened()
    while desktop.send(stalled, bytes(MAX_PAYLOAD)):
        carry(desktop, agent)
    other = desktop.open()
    for _ in range(100):
        assert desktop.send(other, bytes(FIRST_WINDOW))
        carry(desktop, agent)
        agent.take(other, FIRST_WINDOW)
        carry(agent, desktop)
    assert agent.session.held == FIRST_WINDOW


def test_the_window_of_a_stream_that_moves_grows_to_its_limit() -> None:
    desktop, agent, stream = opened()
    for _ in range(50):
        desktop.send(stream, bytes(MAX_PAYLOAD))
        carry(desktop, agent)
        agent.take(stream, MAX_PAYLOAD)
        carry(agent, desktop)
    moved = 0
    while size := desktop.send(stream, bytes(MAX_PAYLOAD)):
        moved += size
    assert moved == MAX_WINDOW


def test_with_many_streams_what_may_wait_for_readers_stays_within_the_memory() -> None:
    desktop, agent = ends()
    streams = [desktop.open() for _ in range(MAX_STREAMS)]
    carry(desktop, agent)
    for _ in range(6):
        for stream in streams[:512]:
            desktop.send(stream, bytes(FIRST_WINDOW))
            carry(desktop, agent)
            agent.take(stream, FIRST_WINDOW)
            carry(agent, desktop)
    windows = [agent.session._streams[stream].window for stream in streams]
    assert sum(windows) <= MAX_STREAMS * FIRST_WINDOW + EXTRA_MEMORY
    assert max(windows) == FIRST_WINDOW + EXTRA_MEMORY // MAX_STREAMS


def test_a_window_shrinks_when_there_are_many_streams_and_what_ends_gives_its_memory_back() -> None:
    desktop, agent, stream = opened()

    def move(times: int) -> int:
        for _ in range(times):
            desktop.send(stream, bytes(MAX_PAYLOAD))
            carry(desktop, agent)
            agent.take(stream, MAX_PAYLOAD)
            carry(agent, desktop)
        return agent.session._streams[stream].window

    assert move(50) == MAX_WINDOW
    others = [desktop.open() for _ in range(MAX_STREAMS - 1)]
    assert move(50) == FIRST_WINDOW + EXTRA_MEMORY // MAX_STREAMS
    for other in others:
        desktop.say(other, Broken)
    assert move(50) == MAX_WINDOW
    desktop.say(stream, Broken)
    carry(desktop, agent)
    assert agent.session._extra == 0


def test_more_streams_than_there_may_be_are_not_opened_and_refused() -> None:
    desktop, agent = ends()
    streams = [desktop.open() for _ in range(MAX_STREAMS)]
    with pytest.raises(StreamLimitError):
        desktop.open()
    carry(desktop, agent)
    desktop.say(streams[0], Ended)
    agent.feed(header(OPEN, MAX_STREAMS + 1))
    assert agent.session.count == MAX_STREAMS
    assert agent.session.control().endswith(header(RESET, MAX_STREAMS + 1))


def test_what_was_on_its_way_to_a_stream_that_is_gone_is_dropped() -> None:
    desktop, agent, stream = opened()
    agent.send(stream, b"late")
    agent.say(stream, Ended)
    desktop.say(stream, Broken)
    assert carry(agent, desktop) == []
    assert carry(desktop, agent) == [Broken(stream)]
    assert (desktop.session.count, agent.session.count) == (0, 0)


def test_a_stream_whose_end_has_come_stays_until_its_reader_has_all() -> None:
    desktop, agent, stream = opened()
    desktop.send(stream, b"last words")
    desktop.say(stream, Closed)
    carry(desktop, agent)
    assert (desktop.session.count, agent.session.count) == (0, 1)
    assert agent.session.allowance(stream) == 0
    agent.take(stream, 10)
    assert agent.session.count == 0


START = PREAMBLE + header(OPEN, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PREAMBLE + header(0, 1), "unknown kind 0"),
        (PREAMBLE + header(7, 1), "unknown kind 7"),
        (PREAMBLE + header(OPEN, 2), "was opened after"),
        (START + header(OPEN, 1), "was opened after"),
        (START + header(END, 2), "never opened"),
        (START + header(END, 0), "never opened"),
        (START + header(DATA, 1), "has the size 0"),
        (START + header(CREDIT, 1), "has the size 0"),
        (START + header(END, 1, 1), "has the size 1"),
        (START + header(DATA, 1, MAX_PAYLOAD + 1), "over the limit"),
        (START + header(DATA, 1, FIRST_WINDOW + 1), "credit"),
        (START + header(CREDIT, 1, MAX_WINDOW), "too much credit"),
        (START + header(END, 1) + header(DATA, 1, 1), "after its end"),
        (START + header(END, 1) + header(END, 1), "after its end"),
        (START + header(DATA, 1, 1) + b"x" + header(CLOSE, 1) + header(CREDIT, 1, 1), "closed"),
        (b"x" * (MAX_NOISE + 1), "does not begin"),
        (PREAMBLE.replace(b"\r\n", b"\n") + bytes(MAX_NOISE), "does not begin"),
    ],
)
def test_what_breaks_the_rules_is_one_error(data: bytes, words: str) -> None:
    with pytest.raises(MuxError, match=words):
        MuxSession(opens=False).receive(memoryview(data))


def test_only_the_desktop_opens_streams() -> None:
    with pytest.raises(MuxError, match="the agent opened"):
        MuxSession(opens=True).receive(memoryview(START))
    with pytest.raises(RuntimeError):
        MuxSession(opens=False).open()


def test_who_asks_without_end_and_does_not_listen_is_cut_off() -> None:
    agent = MuxSession(opens=False)
    agent.receive(memoryview(PREAMBLE))
    asked = b"".join(header(OPEN, number) for number in range(1, MAX_STREAMS + 1))
    agent.receive(memoryview(asked))
    more = b"".join(
        header(OPEN, n) for n in range(MAX_STREAMS + 1, MAX_STREAMS + 2 + MAX_BACKLOG // 8)
    )
    with pytest.raises(MuxError, match="does not read"):
        agent.receive(memoryview(more))


def test_an_end_that_cannot_get_its_openings_through_opens_no_more() -> None:
    desktop = MuxSession(opens=True)
    for _ in range(MAX_BACKLOG // HEADER_SIZE // 4):
        desktop.reset(desktop.open())
    with pytest.raises(StreamLimitError):
        desktop.open()


@given(st.binary(max_size=60), st.booleans())
def test_noise_breaks_nothing_but_its_pipe(noise: bytes, opens: bool) -> None:
    session = MuxSession(opens=opens)
    if opens:
        session.open()
    try:
        session.receive(memoryview(PREAMBLE + noise))
    except WireError:
        return
    assert session.count <= 60 // 8 + 1


def test_a_session_of_each_end_begins_with_the_preamble() -> None:
    for opens in (True, False):
        session = MuxSession(opens=opens)
        assert session.has_control
        assert session.control() == PREAMBLE
        assert not session.has_control
