"""Two ends of a pipe with streams, in any order of events, cut or damaged at any moment.

The oracle counts: what an end may still send, what is on its way, and what lies at the reader make
the reader's window, never less and never more; no stream brings a byte of another; and what both
ends have let go is gone on both, with all its memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from link.mux import session
from link.mux.frames import DATA, MuxError, header
from link.mux.session import MAX_STREAMS, Arrived, Event, MuxSession, Opened
from tests.effort import EFFORT

FIRST_WINDOW, MAX_WINDOW, EXTRA_MEMORY = 64, 256, 300
"""In place of what they are, so that few bytes and streams come to every limit."""
LIMITS = {"FIRST_WINDOW": FIRST_WINDOW, "MAX_WINDOW": MAX_WINDOW, "EXTRA_MEMORY": EXTRA_MEMORY}

NUMBERS = st.integers(0, 9)
SIZES = st.integers(1, 2 * FIRST_WINDOW)
OTHER = {0: 1, 1: 0}


class End:
    """One end, its readers, and what it sent that has not arrived."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.session = MuxSession(opens=number == 0)
        self.pipe = b""
        self.sent: dict[int, int] = {}
        self.waiting: dict[int, int] = {}

    def flush(self) -> None:
        self.pipe += self.session.control()

    def note(self, event: Event) -> None:
        if isinstance(event, Opened):
            self.sent[event.stream] = self.waiting[event.stream] = 0
        elif isinstance(event, Arrived):
            expected = bytes([event.stream % 251]) * len(event.data)
            assert event.data == expected, "bytes of another stream"
            self.waiting[event.stream] += len(event.data)


class MuxMachine(RuleBasedStateMachine):
    """A pipe."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = ExitStack()
        for name, value in LIMITS.items():
            self.limits.enter_context(patch.object(session, name, value))
        self.begin()

    def teardown(self) -> None:
        self.limits.close()

    def begin(self) -> None:
        self.ends = (End(0), End(1))

    def some_stream(self, end: End, number: int) -> int | None:
        return list(end.sent)[number % len(end.sent)] if end.sent else None

    # What the world does.

    @rule()
    def open(self) -> None:
        end = self.ends[0]
        stream = end.session.open()
        end.sent[stream] = end.waiting[stream] = 0

    @rule(which=st.sampled_from([0, 1]), number=NUMBERS, size=SIZES)
    def send(self, which: int, number: int, size: int) -> None:
        end = self.ends[which]
        stream = self.some_stream(end, number)
        if stream is None:
            return
        end.flush()
        size = min(size, end.session.allowance(stream))
        if size:
            end.session.sent(stream, size)
            end.pipe += header(DATA, stream, size) + bytes([stream % 251]) * size
            end.sent[stream] += size

    @rule(which=st.sampled_from([0, 1]), number=NUMBERS, size=SIZES)
    def take(self, which: int, number: int, size: int) -> None:
        end = self.ends[which]
        stream = self.some_stream(end, number)
        if stream is not None and (size := min(size, end.waiting[stream])):
            end.waiting[stream] -= size
            end.session.taken(stream, size)

    @rule(
        which=st.sampled_from([0, 1]),
        number=NUMBERS,
        word=st.sampled_from(["end", "close", "reset"]),
    )
    def say(self, which: int, number: int, word: str) -> None:
        end = self.ends[which]
        stream = self.some_stream(end, number)
        if stream is not None:
            getattr(end.session, word)(stream)

    @rule(which=st.sampled_from([0, 1]), size=SIZES)
    def carry(self, which: int, size: int) -> None:
        source, sink = self.ends[which], self.ends[OTHER[which]]
        source.flush()
        data, source.pipe = source.pipe[:size], source.pipe[size:]
        for event in sink.session.receive(memoryview(data)):
            sink.note(event)

    @rule(which=st.sampled_from([0, 1]), number=NUMBERS, size=SIZES, times=st.integers(1, 9))
    def converse(self, which: int, number: int, size: int, times: int) -> None:
        """A reader keeps up."""
        stream = self.some_stream(self.ends[which], number)
        for _ in range(times):
            self.send(which, number, size)
            for each in (which, OTHER[which]):
                self.carry(each, 1 << 30)
            reader = self.ends[OTHER[which]]
            if stream in reader.sent:
                self.take(reader.number, list(reader.sent).index(stream), 1 << 30)

    @rule()
    def grow_many(self) -> None:
        for _ in range(6):
            self.open()
        self.carry(0, 1 << 30)

    @precondition(lambda self: len(self.ends[0].sent) > 8)
    @rule()
    def cut(self) -> None:
        """The pipe is gone, and with it both ends."""
        self.begin()

    @precondition(lambda self: any(len(end.pipe) > 200 for end in self.ends))
    @rule(data=st.data(), is_repeated=st.booleans())
    def damage(self, data: st.DataObject, is_repeated: bool) -> None:
        """Bytes are lost or repeated: an error, or an end that keeps within its bounds."""
        source = next(end for end in self.ends if len(end.pipe) > 200)
        sink = self.ends[OTHER[source.number]]
        size = len(source.pipe)
        start = data.draw(st.integers(0, size - 1))
        end = data.draw(st.integers(start + 1, size))
        pipe = source.pipe
        damaged = pipe[:end] + pipe[start:] if is_repeated else pipe[:start] + pipe[end:]
        try:
            sink.session.receive(memoryview(damaged))
        except MuxError:
            pass
        else:
            self.check_bounds(sink)
        self.begin()

    # What must hold.

    def check_bounds(self, end: End) -> None:
        streams = end.session._streams
        assert end.session.count == len(streams) <= MAX_STREAMS
        assert end.session.held == sum(state.held for state in streams.values()) >= 0
        extra = sum(state.window - FIRST_WINDOW for state in streams.values())
        assert extra == end.session._extra <= EXTRA_MEMORY
        for state in streams.values():
            assert 0 <= state.credit <= MAX_WINDOW
            assert min(state.granted, state.held, state.owed) >= 0
            assert 0 < state.window <= MAX_WINDOW

    @invariant()
    def nothing_is_negative_or_over_its_limit(self) -> None:
        for end in self.ends:
            self.check_bounds(end)

    @invariant()
    def a_window_is_what_may_come_and_what_lies_there(self) -> None:
        for end in self.ends:
            for state in end.session._streams.values():
                if not state.is_heard:
                    assert state.window == state.granted + state.held + state.owed

    @rule()
    def come_to_rest(self) -> None:
        """All is carried and taken: credit agrees, and what is over is gone on both ends."""
        for _ in range(6):
            for which in (0, 1):
                self.carry(which, 1 << 30)
                for stream in list(self.ends[which].sent):
                    self.take(which, list(self.ends[which].sent).index(stream), 1 << 30)
        one, two = (end.session._streams for end in self.ends)
        assert one.keys() == two.keys()
        for stream in one:
            for sender, reader in ((one[stream], two[stream]), (two[stream], one[stream])):
                assert not reader.held
                if not sender.is_said:
                    assert sender.credit == reader.granted > 0


TestMux = MuxMachine.TestCase
TestMux.settings = settings(max_examples=60 * EFFORT, stateful_step_count=40, deadline=None)
