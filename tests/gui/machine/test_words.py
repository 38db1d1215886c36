"""What is said of a machine: states, kinds, times, and what is to be known with it."""

from __future__ import annotations

import shlex

import pytest

from gui import icons
from gui.machine.words import (
    cut,
    duration,
    engine_command,
    facts,
    kind_word,
    state_icon,
    state_word,
)
from tests.gui.machine.words_of import machine

STATES = ("stopped", "starting", "connecting", "connected", "reconnecting", "failed")


@pytest.mark.parametrize("state", [*STATES, "running", "unknown"])
def test_each_state_has_a_word_and_an_icon(state: str) -> None:
    assert state_word(state)[0].isupper()
    assert state_icon(state) in icons.NAMES


def test_states_that_are_told_apart_have_words_of_their_own() -> None:
    assert len({state_word(state) for state in STATES}) == len(STATES)


def test_a_state_or_kind_that_is_not_known_here_is_shown_as_it_came_but_not_without_end() -> None:
    assert (state_word("dreaming"), kind_word("vmware")) == ("dreaming", "vmware")
    assert len(state_word("x" * 10_000)) == len(kind_word("x" * 10_000)) == 40
    assert state_icon("dreaming") in icons.NAMES


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3 * 3600 + 300, "3 h 5 min"),
        (50 * 3600, "2 d 2 h"),
    ],
)
def test_a_time_is_told_in_its_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_connected_machine_is_told_in_five_facts() -> None:
    told = {fact.key: fact for fact in facts(machine("colima", connected_s=65.0), "0.1.0")}
    assert {key: fact.text for key, fact in told.items()} == {
        "connected-for": "1 min",
        "kernel": "6.1.0",
        "transport": "unix",
        "agent": "0.1.0",
        "watcher": "eBPF",
    }
    assert not any(fact.hint or fact.is_wrong for fact in told.values())


def test_the_agents_python_stands_beside_its_version() -> None:
    told = {fact.key: fact.text for fact in facts(machine("a", python="3.9.18"), "0.1.0")}
    assert told["agent"] == "0.1.0, on Python 3.9.18"


def test_what_is_not_known_is_left_out() -> None:
    nothing = machine("colima", "stopped", kernel="", agent_version="", transport="", watcher="")
    assert facts(nothing, "0.1.0") == []


def test_an_agent_of_another_version_than_the_daemons_is_marked() -> None:
    told = {fact.key: fact for fact in facts(machine("a", agent_version="0.0.9"), "0.1.0")}
    assert told["agent"].is_wrong
    assert "0.1.0" in told["agent"].hint


def test_the_limits_of_a_transport_stand_beside_it() -> None:
    told = {fact.key: fact for fact in facts(machine("a", transport_limits="no resets"), "0.1.0")}
    assert (told["transport"].hint, told["transport"].is_wrong) == ("no resets", False)


def test_the_line_for_the_docker_command_can_be_pasted_whatever_the_address() -> None:
    odd = "unix:///home/ada lovelace/$(reboot)/docker.sock"
    line = engine_command(odd)
    assert shlex.split(line) == ["export", f"DOCKER_HOST={odd}"]
    assert engine_command("") == ""


def test_long_words_are_cut_and_say_so() -> None:
    assert cut("short") == "short"
    assert (len(cut("x" * 5000)), cut("x" * 5000)[-1]) == (1000, "…")
