"""Which rows a filter lets through."""

from __future__ import annotations

import pytest

from desktop.api.types import PortRow
from gui.ports.columns import Words
from gui.ports.filter import EVERYTHING, PROBLEMS, RowFilter, count_states
from tests.gui.ports.rows import make_row


def lets_through(row_filter: RowFilter, row: PortRow) -> bool:
    return row_filter.matches(row, Words().all_text(row, with_machine=False))


@pytest.mark.parametrize(
    "text",
    [
        *("web", "WEB", "we ngi", "nginx  web", "active", "0.0.0.0", "800", "tcp"),
        *(
            ":8000",
            "tcp:8000",
            "TCP:8000",
            "0.0.0.0:8000",
            ":7000-8000",
            "tcp:8000-8000",
            "tcp:",
            ":",
            ":7000-",
        ),
        "container → this",
    ],
)
def test_words_that_are_all_in_the_row_find_it(text: str) -> None:
    assert lets_through(RowFilter(text), make_row(8000))


@pytest.mark.parametrize("text", ["db", "web db", "udp:8000", ":80", ":800", "tcp:8001-9000"])
def test_one_word_that_is_not_in_the_row_is_enough_to_leave_it_out(text: str) -> None:
    assert not lets_through(RowFilter(text), make_row(8000))


def test_a_machine_is_looked_at_only_where_it_is_shown() -> None:
    row = make_row(machine="sandbox")
    assert not RowFilter("sandbox").matches(row, Words().all_text(row, with_machine=False))
    assert RowFilter("sandbox").matches(row, Words().all_text(row, with_machine=True))


def test_a_port_is_looked_for_on_both_sides() -> None:
    remapped = make_row(8000, host_port=18000)
    assert lets_through(RowFilter(":8000"), remapped)
    assert lets_through(RowFilter(":18000"), remapped)


def test_the_reason_is_looked_at_too() -> None:
    row = make_row(7000, state="conflict", reason="this is AirPlay Receiver")
    assert lets_through(RowFilter("airplay"), row)


def test_problems_are_conflicts_and_denials() -> None:
    wanted = RowFilter(state=PROBLEMS)
    states = ("active", "conflict", "denied", "ignored", "pending", "paused")
    shown = [state for state in states if lets_through(wanted, make_row(1, state=state))]
    assert shown == ["conflict", "denied"]


def test_a_direction_is_that_of_the_real_listener() -> None:
    assert lets_through(RowFilter(origin="host"), make_row(origin="host"))
    assert not lets_through(RowFilter(origin="host"), make_row())


def test_blanks_are_no_filter() -> None:
    assert RowFilter("  ").is_empty
    assert EVERYTHING.is_empty
    assert not RowFilter("a").is_empty
    assert not RowFilter(state="active").is_empty


def test_counts_are_of_the_choices() -> None:
    counted = count_states({"active": 3, "conflict": 2, "denied": 1, "new": 1}.items())
    assert counted == {"": 7, "active": 3, "problems": 3, "pending": 0, "paused": 0, "ignored": 0}
