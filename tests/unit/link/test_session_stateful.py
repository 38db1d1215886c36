"""A link of two control sessions under simulated time, cut and silenced at any moment.

The oracle is plain: what the agent has at the time is what the desktop knows once all is carried;
an end counts as lost exactly LEASE_SECONDS after the last byte from it; and who is asked when its
`deadline` says never comes too late. What carries the bytes is a stream: it may stop, end in the
middle of a message, or, broken, lose or repeat some of them, but it exchanges none.
"""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from desktop.mirror.inventory import Inventory
from link.listener import Container, Listener
from link.messages import Delta, Message, Resync, Snapshot
from link.session import BEAT_SECONDS, LEASE_SECONDS, ControlSession
from link.wire import WireError
from tests.effort import EFFORT
from vmagent.told import Told

CONTAINERS = [None, *(Container(name * 32, name, "docker") for name in ("ab", "cd"))]
SECONDS = st.sampled_from([0.0, 0.01, 0.3, BEAT_SECONDS, 2.5, LEASE_SECONDS, 60.0])


class End:
    """One end: its session, what it sent that has not arrived, and when it heard last."""

    def __init__(self, *, beats: bool, now: float) -> None:
        self.session = ControlSession(beats=beats, now=now)
        self.pipe = b""
        self.heard = now
        self.beats: list[float] = []

    def say(self, message: Message) -> None:
        self.pipe += self.session.send(message)

    def tick(self, now: float) -> None:
        if due := self.session.timers(now):
            self.pipe += due
            self.beats.append(now)


class LinkMachine(RuleBasedStateMachine):
    """Two ends, what is true in the machine, and what the desktop believes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.truth: dict[int, Listener] = {}
        self.ever: set[Listener] = set()
        self.generation = 0
        self.inventory = Inventory()
        self.connect()

    def connect(self) -> None:
        """A new connection: both ends begin anew, and the agent tells everything."""
        self.desktop = End(beats=True, now=self.now)
        self.agent = End(beats=False, now=self.now)
        self.told = Told()
        self.tell_all()

    def tell_all(self) -> None:
        self.generation += 1
        for part in self.told.snapshot(self.generation, self.truth.values()):
            self.agent.say(part)

    # What the world does.

    @rule(
        number=st.integers(1, 6),
        container=st.sampled_from(CONTAINERS),
        port=st.integers(1, 9),
        is_there=st.booleans(),
    )
    def change(self, number: int, container: Container | None, port: int, is_there: bool) -> None:
        self.truth.pop(number, None)
        added: tuple[Listener, ...] = ()
        if is_there:
            added = (Listener(number, "tcp", "127.0.0.1", port, container=container),)
            self.truth[number] = added[0]
            self.ever.update(added)
        for part in self.told.delta(added, () if is_there else (number,)):
            self.agent.say(part)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(size=st.integers(1, 400), is_agent=st.booleans())
    def carry(self, size: int, is_agent: bool) -> None:
        """Some bytes arrive."""
        source, sink = (self.agent, self.desktop) if is_agent else (self.desktop, self.agent)
        data, source.pipe = source.pipe[:size], source.pipe[size:]
        if data:
            sink.heard = self.now
            for message in sink.session.receive(data, self.now):
                self.heard(message)

    def heard(self, message: Message) -> None:
        if isinstance(message, Snapshot):
            self.inventory.snapshot(message)
        elif isinstance(message, Delta):
            if not self.inventory.delta(message):
                self.desktop.say(Resync())
        else:
            assert message == Resync()
            self.tell_all()

    @rule()
    def tick(self) -> None:
        for end in (self.desktop, self.agent):
            end.tick(self.now)

    @rule()
    def cut(self) -> None:
        """What was on its way is lost, in the middle of a message or not."""
        self.connect()

    @rule()
    def ask_for_everything(self) -> None:
        self.desktop.say(Resync())

    @precondition(lambda self: self.agent.pipe)
    @rule(data=st.data(), is_repeated=st.booleans())
    def damage(self, data: st.DataObject, is_repeated: bool) -> None:
        """A broken tunnel loses or repeats bytes: an error, or messages of the vocabulary."""
        pipe = self.agent.pipe
        start = data.draw(st.integers(0, len(pipe) - 1))
        end = data.draw(st.integers(start + 1, len(pipe)))
        damaged = pipe[:end] + pipe[start:] if is_repeated else pipe[:start] + pipe[end:]
        try:
            for message in self.desktop.session.receive(damaged, self.now):
                if isinstance(message, Snapshot):
                    Inventory().snapshot(message)
        except WireError:
            pass
        self.connect()  # who is in doubt begins anew

    # What must hold.

    @rule()
    def come_to_rest(self) -> None:
        """All is carried both ways: the desktop knows what is true."""
        for _ in range(3):
            while self.agent.pipe or self.desktop.pipe:
                self.carry(1 << 20, is_agent=True)
                self.carry(1 << 20, is_agent=False)
        assert self.inventory.is_complete
        assert self.inventory.listeners == self.truth

    @invariant()
    def silence_is_the_end_and_nothing_else_is(self) -> None:
        for end in (self.desktop, self.agent):
            assert end.session.is_expired(self.now) == (self.now >= end.heard + LEASE_SECONDS)
            assert end.session.deadline() <= end.heard + LEASE_SECONDS

    @invariant()
    def beats_are_told_once_a_second_at_most(self) -> None:
        beats = self.desktop.beats
        assert all(later - earlier >= BEAT_SECONDS for earlier, later in itertools.pairwise(beats))
        assert len(self.agent.beats) <= len(self.desktop.beats)

    @invariant()
    def nothing_is_believed_that_never_was(self) -> None:
        assert set(self.inventory.listeners.values()) <= self.ever


TestLink = LinkMachine.TestCase
TestLink.settings = settings(max_examples=60 * EFFORT, stateful_step_count=40, deadline=None)
