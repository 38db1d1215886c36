"""What agents have counted is added up over all of them."""

from __future__ import annotations

from desktop.daemon.agent_counts import AgentCounts


def test_a_new_agent_counts_on_from_the_one_before_it() -> None:
    counts = AgentCounts()
    assert counts.values() == {}
    counts.begin()
    counts.told({"events_lost": 5, "accepts_paused": 1})
    counts.told({"events_lost": 7, "accepts_paused": 1})
    assert counts.values() == {"agent_events_lost": 7, "agent_accepts_paused": 1}
    counts.begin()
    assert counts.values() == {"agent_events_lost": 7, "agent_accepts_paused": 1}
    counts.told({"events_lost": 9})
    assert counts.values() == {"agent_events_lost": 16, "agent_accepts_paused": 1}


def test_names_that_nobody_knows_take_no_room() -> None:
    counts = AgentCounts()
    for number in range(3):
        counts.begin()
        counts.told({f"nonsense_{number}": 1, "events_lost": 1})
    assert counts.values() == {"agent_events_lost": 3}
