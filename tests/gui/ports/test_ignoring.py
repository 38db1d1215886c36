"""The user's list of ignored ports: which rules mean a row, and how the list changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from desktop.api.types import PortRow
from desktop.settings.values import parse_rule
from gui.ports.ignoring import IgnoreChange, IgnoreList, rule_for, rules_that_mean
from gui.session import Problem, Session
from tests.gui.ports.rows import make_row
from tests.served_backend import ServedBackend

RULE = "machine:tcp:8000"


def rows() -> st.SearchStrategy[PortRow]:
    return st.builds(
        lambda origin, protocol, here, there: make_row(
            there, origin=origin, protocol=protocol, host_port=here
        ),
        st.sampled_from(["machine", "host"]),
        st.sampled_from(["tcp", "udp"]),
        st.integers(1, 60),
        st.integers(1, 60),
    )


rules = st.from_regex(r"((machine|host):)?(tcp|udp):([1-9]|[1-5][0-9])(-60)?", fullmatch=True)


@given(rows())
def test_the_rule_for_a_row_means_that_row(row: PortRow) -> None:
    assert rules_that_mean([rule_for(row)], row) == [rule_for(row)]


@given(rules, rows())
def test_rules_mean_here_what_they_mean_to_the_daemon(rule: str, row: PortRow) -> None:
    port = row.machine_port if row.origin == "machine" else row.host_port
    expected = parse_rule(rule).matches(row.origin, row.protocol, port)
    assert bool(rules_that_mean([rule], row)) == expected


@pytest.mark.parametrize("text", ["", "8000", "tcp:", "tcp:x", "guest:tcp:8000", "tcp:8000:1"])
def test_what_is_no_rule_means_nothing(text: str) -> None:
    assert rules_that_mean([text], make_row(8000)) == []


def test_a_change_keeps_the_others_and_is_undone_without_them() -> None:
    change = IgnoreChange(added=("tcp:1", "tcp:2"), removed=("tcp:3",))
    assert change.of(["udp:9", "tcp:3", "tcp:1"]) == ["udp:9", "tcp:1", "tcp:2"]
    assert change.undone.of(["udp:9", "tcp:1", "tcp:2", "tcp:7"]) == ["udp:9", "tcp:7", "tcp:3"]


def ignored(served: ServedBackend) -> object:
    return served.backend._values["ignore"]


def test_rules_are_added_to_what_is_there(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    served.backend._values["ignore"] = ["udp:5353"]
    with qtbot.waitSignal(session.settingsChanged):
        session.refresh()
    rules = IgnoreList(session)
    with qtbot.waitSignal(rules.done):
        rules.make(IgnoreChange(added=(RULE,)))
    assert ignored(served) == ["udp:5353", RULE]
    assert rules.rules == ["udp:5353", RULE]


def test_one_change_waits_for_the_other_and_sees_it(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    rules = IgnoreList(session)
    with qtbot.waitSignal(rules.done):
        rules.make(IgnoreChange(added=("tcp:1",)))
        assert rules.is_busy
        rules.make(IgnoreChange(added=("tcp:2",)))  # not heard: the actions are disabled
    assert ignored(served) == ["tcp:1"]
    with qtbot.waitSignal(rules.done):  # before the session has looked at the settings again
        rules.make(IgnoreChange(added=("tcp:3",)))
    assert ignored(served) == ["tcp:1", "tcp:3"]


def test_a_refusal_is_told_and_changes_nothing(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    served.backend.locked["ignore"] = "locked by the administrator"
    rules = IgnoreList(session)
    with qtbot.waitSignal(rules.failed) as told:
        rules.make(IgnoreChange(added=(RULE,)))
    assert told.args is not None
    problem = told.args[0]
    assert isinstance(problem, Problem)
    assert "locked by the administrator" in problem.message
    assert (rules.rules, rules.is_busy, ignored(served)) == ([], False, [])
