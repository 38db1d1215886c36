"""The check that bytes pass, in each of its states."""

from __future__ import annotations

from typing import Any

import pytest

from desktop.doctor.self_test import check_self_test, judge_trials
from desktop.doctor.verdict import NotSeenError
from desktop.errors import MachineUnreachableError, NotRunningError, SamehostError
from tests.unit.doctor.worlds import Words, status, verdict


def trial(origin: str, protocol: str, problem: str = "") -> dict[str, Any]:
    return {"origin": origin, "protocol": protocol, "problem": problem, "seconds": 0.0015}


THERE = [trial("machine", "tcp"), trial("machine", "udp")]
BACK = [trial("host", "tcp"), trial("host", "udp")]


@pytest.mark.parametrize(
    ("trials", "state", "words"),
    [
        ([*THERE, *BACK], "ok", "to the machine by TCP in 1.5 ms"),
        (THERE, "note", "reachHost is off"),
        ([*THERE, trial("host", "tcp"), trial("host", "udp", "no answer")], "error", "no answer"),
        ([trial("machine", "tcp", "x")], "error", "no byte passes to the machine by TCP: x"),
    ],
)
def test_bytes_are_judged_by_what_became_of_each(
    trials: list[dict[str, Any]], state: str, words: str
) -> None:
    found = judge_trials(trials)
    assert (found.state, words in found.evidence) == (state, True)
    assert bool(found.remedy) == (state == "error")


class Trying(Words):
    """A patient whose daemon takes self-tests like this."""

    def __init__(self, outcome: list[dict[str, Any]] | SamehostError) -> None:
        super().__init__()
        self.outcome = outcome

    async def ask(self, method: str, _seconds: float = 0, /, **parameters: object) -> Any:
        assert (method, parameters) == ("self_test", {"machine": "sandbox"})
        if isinstance(self.outcome, SamehostError):
            raise self.outcome
        return self.outcome


def test_each_connected_machine_is_tested() -> None:
    assert verdict(check_self_test, Trying([*THERE, *BACK])).state == "ok"


def test_a_switch_that_is_off_is_the_reason_for_no_test() -> None:
    found = verdict(check_self_test, Trying(NotRunningError("host networking is off: locked")))
    assert (found.state, found.evidence) == (
        "skipped",
        "host networking is off: locked: see the check switch",
    )


def test_an_agent_that_takes_no_part_is_an_error() -> None:
    with pytest.raises(MachineUnreachableError):
        verdict(check_self_test, Trying(MachineUnreachableError("took no part", "look")))


def test_without_a_machine_there_is_nothing_to_test() -> None:
    patient = Trying([])
    patient.said = status(state="reconnecting")
    with pytest.raises(NotSeenError, match="see the check machine"):
        verdict(check_self_test, patient)
    with pytest.raises(NotSeenError, match="see the check daemon"):
        verdict(check_self_test, Words.without_daemon())
