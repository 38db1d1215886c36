"""Rules as rows and back: nothing is lost. What the daemon says of them finds its row. No Qt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.errors import UsageError
from desktop.settings.keys import KEYS
from gui.network.rules import IGNORE, REMAP, Row, RuleForm


def words_about(key: str, value: object) -> str:
    """What the daemon says of a value that is no good."""
    with pytest.raises(UsageError) as caught:
        KEYS[key].check(value)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("udp:5353", ("udp", "5353", "")),
        ("tcp:7000-7010", ("tcp", "7000-7010", "")),
        ("machine:tcp:22", ("tcp", "22", "machine")),
        ("host:udp:631", ("udp", "631", "host")),
        ("nonsense", ("", "nonsense", "")),
        ("a:b:c:d", ("", "a:b:c:d", "")),
        (":80", ("", ":80", "")),
    ],
)
def test_an_ignore_rule_has_three_words(text: str, row: Row) -> None:
    assert IGNORE.parse(text) == row
    assert IGNORE.text(row) == text


@given(st.lists(st.text()))
def test_no_ignore_rule_is_lost_whatever_it_is(rules: list[str]) -> None:
    assert IGNORE.value(IGNORE.rows(rules)) == rules


@given(st.dictionaries(st.text(), st.integers(0, 99_999)))
def test_no_remap_rule_is_lost_whatever_it_is(rules: dict[str, int]) -> None:
    assert REMAP.value(REMAP.rows(rules)) == rules


@pytest.mark.parametrize("form", [IGNORE, REMAP])
def test_a_value_of_the_wrong_kind_has_no_rows(form: RuleForm) -> None:
    assert form.rows(None) == []


def test_a_whole_rule_typed_as_the_port_takes_its_columns_when_typing_is_over() -> None:
    row = IGNORE.changed(IGNORE.blank, 1, " Machine:UDP: 53", is_new=True)
    assert IGNORE.tidied(row) == ("udp", "53", "machine")
    assert IGNORE.tidied(("tcp", " 7000 - 7010 ", "")) == ("tcp", "7000-7010", "")


def test_the_second_port_of_a_new_remap_rule_follows_the_first_until_it_is_typed() -> None:
    row = REMAP.blank
    for typed in ("8", "80", "800"):
        row = REMAP.changed(row, 1, typed, is_new=True)
    assert row == ("tcp", "800", "800")
    row = REMAP.changed(row, 2, "9", is_new=True)
    row = REMAP.changed(row, 1, "8000", is_new=True)
    assert row == ("tcp", "8000", "9")
    assert REMAP.changed(("tcp", "1", "1"), 1, "12", is_new=False) == ("tcp", "12", "1")


@pytest.mark.parametrize(
    "text", ["tcp:8000: 18000", '"tcp:8000": 18000', '{"tcp:8000": 18000}', "TCP:8000 -> 18000"]
)
def test_a_remap_rule_is_read_as_it_is_written(text: str) -> None:
    assert REMAP.parse(text) == ("tcp", "8000", "18000")


def test_a_remap_rule_that_is_not_understood_is_kept_to_be_mended() -> None:
    assert REMAP.parse("tcp:80x") == ("tcp", "80x", "")
    assert REMAP.parse("what") == ("", "what", "")


def test_what_the_daemon_says_of_an_ignore_rule_finds_its_row() -> None:
    rules = ["udp:53", "tcp:x", "tcp:80"]
    message = words_about("ignore", rules)
    assert IGNORE.row_of(message, IGNORE.rows(rules)) == 1
    assert IGNORE.row_of(message, IGNORE.rows(rules[:1])) is None
    assert IGNORE.row_of("ignore has 1001 rules, more than 1000", IGNORE.rows(rules)) is None


@pytest.mark.parametrize(
    ("rules", "row"),
    [
        ({"tcp:8000": 18000, "tcp:8o": 5}, 1),
        ({"tcp:8000": 18000, "tcp:8001": 18000}, 1),
        ({"tcp:8000": 70000}, 0),
        ({'tcp:"]': 1}, 0),
        ({"tcp:": 1}, 0),
    ],
)
def test_what_the_daemon_says_of_a_remap_rule_finds_its_row(
    rules: dict[str, int], row: int
) -> None:
    assert REMAP.row_of(words_about("remap", rules), REMAP.rows(rules)) == row


def test_a_port_that_is_no_number_is_sent_as_it_is_for_the_daemon_to_say_so() -> None:
    value = REMAP.value([("tcp", "8000", "x")])
    assert value == {"tcp:8000": "x"}
    assert REMAP.row_of(words_about("remap", value), [("tcp", "8000", "x")]) == 0


def test_only_remap_rules_of_one_name_exclude_each_other() -> None:
    rows: list[Row] = [("tcp", "1", "2"), ("udp", "1", "2"), ("tcp", "1", "3")]
    assert REMAP.twin(rows) == 2
    assert REMAP.twin(rows[:2]) is None
    assert IGNORE.twin([("tcp", "1", ""), ("tcp", "1", "")]) is None
