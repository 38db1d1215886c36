"""The agent tells what it has counted when that has changed, and not too often."""

from __future__ import annotations

from desktop.api.counters import MACHINE_COUNTERS
from vmagent.agent import Agent
from vmagent.counts import TELL_SECONDS, Counts


def test_numbers_are_told_when_they_have_changed_and_not_too_often() -> None:
    now, lost = 100.0, 0
    counts = Counts({"events_lost": lambda: lost}, lambda: now)
    assert counts.news() is None
    lost = 1
    assert counts.news() == {"events_lost": 1}
    lost = 2
    assert counts.news() is None
    now += TELL_SECONDS
    assert counts.news() == {"events_lost": 2}
    now += TELL_SECONDS
    assert counts.news() is None
    counts.forget()
    assert counts.news() == {"events_lost": 2}


def test_the_desktop_knows_every_name_that_an_agent_tells() -> None:
    names = {f"agent_{name}" for name in Agent._sources(Agent.__new__(Agent))}
    assert names == {name for name in MACHINE_COUNTERS if name.startswith("agent_")}
