"""The pool of streams under simulated time: whatever happens, each stream is in one hand.

Streams are real sockets, readiness and the clock are the test's. The oracle knows where every
stream is, who waits since when, and which link each stream is of.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from link.pool import WAIT_SECONDS, StreamPool
from link.readiness import READABLE, Handler, Readiness
from link.stream import Stream
from tests.effort import EFFORT

PLACES = st.integers(0, 9)


class Clock:
    """What a pool asks of its loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(when, callback)
        self.timers.append(timer)
        return timer

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now + seconds, callback)

    def advance(self, seconds: float) -> None:
        """Time passes; what is due happens at its time."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda each: each.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            if not timer.is_cancelled:
                timer.callback()
        self.now = end


class Timer:
    """One entry of the clock."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Watch(Readiness):
    """Who watches what."""

    def __init__(self) -> None:
        self.handlers: dict[int, Handler] = {}

    def watch(self, descriptor: int, handler: Handler) -> None:
        self.handlers[descriptor] = handler

    def rearm(self, descriptor: int) -> None:
        assert descriptor in self.handlers

    def unwatch(self, descriptor: int) -> None:
        del self.handlers[descriptor]

    def forget(self, descriptor: int) -> None:
        del self.handlers[descriptor]


class Taker:
    """Somebody who wants a stream, since when, and what was handed over."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.given: list[socket.socket | None] = []
        self.is_watched = True

    def __call__(self, stream: socket.socket | None) -> None:
        self.given.append(stream)


class PoolMachine(RuleBasedStateMachine):
    """One pool, streams and takers."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.watch = Clock(), Watch()
        self.needs = 0
        with patch.object(asyncio, "get_running_loop", lambda: self.clock):
            self.pool = StreamPool(self.need, self.watch)
        self.pool.most_idle = 3
        self.link = 0
        self.links: dict[Stream, int] = {}
        self.far: dict[Stream, socket.socket] = {}
        self.spoken: set[Stream] = set()
        self.out: list[Stream] = []
        self.kept: list[Stream] = []
        self.takers: list[Taker] = []

    def need(self) -> None:
        self.needs += 1

    def teardown(self) -> None:
        self.pool.close()
        self.settle()
        assert not any(self.pool_has(stream) for stream in self.links)
        assert all(len(taker.given) == 1 for taker in self.takers)
        assert set(self.watch.handlers) == {stream.fileno() for stream in self.out}
        for stream in (*self.links, *self.far.values()):
            stream.close()

    def pool_has(self, stream: Stream) -> bool:
        return stream in self.pool._idle.values()

    def settle(self) -> None:
        """Streams that were handed over are with their takers."""
        for taker in self.takers:
            for stream in taker.given:
                if isinstance(stream, Stream) and stream not in self.out + self.kept:
                    (self.out if taker.is_watched else self.kept).append(stream)

    # What the world does.

    @rule()
    def dial(self) -> None:
        near, far = socket.socketpair()
        stream = Stream.of(near)
        self.links[stream], self.far[stream] = self.link, far
        self.pool.put(stream)
        self.settle()

    @rule()
    def draw_or_wait(self) -> None:
        idle, stream = self.pool.idle, self.pool.draw()
        assert (stream is None) == (idle == 0)
        if isinstance(stream, Stream):
            self.out.append(stream)
        else:
            self.takers.append(taker := Taker(self.clock.now))
            needs = self.needs
            self.pool.wait(taker)
            assert self.needs > needs

    @rule()
    def take(self) -> None:
        taker = Taker(self.clock.now)
        taker.is_watched = False
        self.takers.append(taker)
        self.pool.take(taker)
        self.settle()

    @precondition(lambda self: self.out)
    @rule(place=PLACES)
    def come_back(self, place: int) -> None:
        """A flow has ended in order."""
        stream = self.out.pop(place % len(self.out))
        waiting, idle = self.pool.waiting, self.pool.idle
        self.forget_hands(stream)
        assert stream.home is not None
        stream.home(stream)
        self.settle()
        is_welcome = self.links[stream] == self.link and (waiting or idle < self.pool.most_idle)
        assert (stream.fileno() >= 0) == bool(is_welcome)

    def forget_hands(self, stream: Stream) -> None:
        for taker in self.takers:
            if stream in taker.given:
                taker.given[taker.given.index(stream)] = None

    @precondition(lambda self: self.out)
    @rule(place=PLACES)
    def give_up(self, place: int) -> None:
        stream = self.out.pop(place % len(self.out))
        self.forget_hands(stream)
        self.pool.give_up(stream)

    @precondition(lambda self: self.pool.idle)
    @rule(place=PLACES, says=st.sampled_from([b"x", b""]))
    def speak(self, place: int, says: bytes) -> None:
        """The other end of an idle stream says something, or ends it: it is dropped."""
        stream = list(self.pool._idle.values())[place % self.pool.idle]
        assert isinstance(stream, Stream)
        needs, idle = self.needs, self.pool.idle
        if says:
            self.far[stream].send(says)
        else:
            self.far[stream].close()
        self.watch.handlers[stream.fileno()](READABLE)
        assert stream.fileno() < 0
        assert (self.needs, self.pool.idle) == (needs + 1, idle - 1)

    @precondition(lambda self: self.pool.idle)
    @rule(place=PLACES)
    def a_false_alarm_changes_nothing(self, place: int) -> None:
        stream = list(self.pool._idle.values())[place % self.pool.idle]
        idle = self.pool.idle
        self.watch.handlers[stream.fileno()](READABLE)
        assert self.pool.idle == idle

    @rule()
    def lose_the_link(self) -> None:
        self.pool.clear()
        self.link += 1
        assert self.pool.idle == 0

    @rule(seconds=st.sampled_from([0.1, 1.0, WAIT_SECONDS, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    # What must hold.

    @invariant()
    def each_stream_is_in_one_hand(self) -> None:
        hands = [*self.pool._idle.values(), *self.out, *self.kept]
        assert len(hands) == len(set(hands))
        alive = {stream for stream in self.links if stream.fileno() >= 0}
        assert alive == set(hands)

    @invariant()
    def no_stream_of_an_older_link_is_idle(self) -> None:
        streams = [each for each in self.pool._idle.values() if isinstance(each, Stream)]
        assert all(self.links[stream] == self.link for stream in streams)
        assert len(streams) == self.pool.idle

    @invariant()
    def each_taker_is_called_once_in_order_and_in_time(self) -> None:
        waiting = [taker for taker in self.takers if not taker.given]
        assert len(waiting) == self.pool.waiting
        assert all(self.clock.now < taker.since + WAIT_SECONDS for taker in waiting)
        assert all(len(taker.given) <= 1 for taker in self.takers)
        assert self.takers[len(self.takers) - len(waiting) :] == waiting

    @invariant()
    def nobody_waits_while_a_stream_is_idle(self) -> None:
        assert not (self.pool.idle and self.pool.waiting)

    @invariant()
    def what_is_watched_is_idle_or_drawn(self) -> None:
        watched = {stream.fileno() for stream in (*self.pool._idle.values(), *self.out)}
        assert set(self.watch.handlers) == watched


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=80 * EFFORT, stateful_step_count=50, deadline=None)
