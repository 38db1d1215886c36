"""The control session as transcripts: what is said when, and when silence is the end."""

from __future__ import annotations

import pytest

from link.messages import Beat, Resync, Wanted
from link.session import BEAT_SECONDS, LEASE_SECONDS, ControlSession
from link.wire import WireError


def pair(now: float = 0.0) -> tuple[ControlSession, ControlSession]:
    return ControlSession(beats=True, now=now), ControlSession(beats=False, now=now)


def test_a_beat_is_due_every_second_and_answered_once() -> None:
    desktop, agent = pair()
    assert desktop.timers(BEAT_SECONDS / 2) == b""
    beat = desktop.timers(BEAT_SECONDS)
    assert agent.receive(beat, BEAT_SECONDS) == []
    answer = agent.timers(BEAT_SECONDS)
    assert answer
    assert agent.timers(BEAT_SECONDS) == b""
    assert desktop.receive(answer, BEAT_SECONDS) == []
    assert desktop.timers(BEAT_SECONDS) == b""


def test_messages_pass_and_beats_do_not() -> None:
    desktop, agent = pair()
    data = agent.send(Beat()) + agent.send(Wanted(2)) + agent.send(Beat())
    assert desktop.receive(data, 1.0) == [Wanted(2)]
    assert agent.receive(desktop.send(Resync()), 1.0) == [Resync()]


def test_silence_for_the_lease_is_the_end_on_either_side() -> None:
    for end in pair(now=100.0):
        assert not end.is_expired(100.0 + LEASE_SECONDS - 0.001)
        assert end.is_expired(100.0 + LEASE_SECONDS)


def test_any_byte_extends_the_lease() -> None:
    desktop, agent = pair()
    desktop.receive(agent.send(Wanted(1))[:3], 4.0)
    assert not desktop.is_expired(4.0 + LEASE_SECONDS - 0.1)


def test_two_ends_that_beat_stay_alive_for_an_hour() -> None:
    desktop, agent = pair()
    now = 0.0
    while now < 3600:
        now = min(desktop.deadline(), agent.deadline())
        agent.receive(desktop.timers(now), now)
        desktop.receive(agent.timers(now), now)
        assert not desktop.is_expired(now)
        assert not agent.is_expired(now)


def test_a_message_that_breaks_the_rules_is_an_error() -> None:
    desktop, _ = pair()
    with pytest.raises(WireError):
        desktop.receive(b"\xff\xff\xff\xff", 0.0)
