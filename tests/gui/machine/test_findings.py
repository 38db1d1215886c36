"""What an examination has printed, whatever that is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui import icons, parts
from gui.machine.finding_rows import FindingRow, FindingRows, finding_icon, finding_word
from gui.machine.findings import Finding, in_order, parse, summary
from gui.parts import CopyButton

STATES = ("ok", "note", "warning", "error", "failed", "not reached", "skipped")


def printed(*findings: dict[str, object]) -> bytes:
    return json.dumps(findings).encode()


def test_both_doctors_are_understood() -> None:
    machine = {"step": "log-in", "state": "failed", "evidence": "no", "remedy": "yes", "seconds": 1}
    general = {"check": "daemon", "state": "ok", "evidence": "it runs", "remedy": "", "seconds": 0}
    assert parse(printed(machine, general)) == [
        Finding("log-in", "failed", "no", "yes"),
        Finding("daemon", "ok", "it runs", ""),
    ]


def test_problems_come_first_and_what_went_well_last() -> None:
    shuffled = [Finding(state, state) for state in ("ok", "skipped", "odd", "note", "error")]
    shuffled += [Finding("second", "failed"), Finding("warning", "warning")]
    assert [each.name for each in in_order(shuffled)] == [
        "error",
        "second",
        "warning",
        "note",
        "odd",
        "skipped",
        "ok",
    ]


def test_the_summary_says_how_bad_it_is() -> None:
    assert "1" in summary([Finding("a", "failed"), Finding("b", "warning")])
    assert "no problem" in summary([Finding("b", "warning"), Finding("c", "ok")])
    assert summary([Finding("c", "ok")]) == "All is well."
    assert summary([]) == "Nothing was looked at."


@pytest.mark.parametrize("output", [b"", b"{}", b'"x"', b"[1]", b"\xff", b"[" * 100_000, b"[{}"])
def test_what_is_no_list_of_findings_is_told(output: bytes) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        parse(output)


def test_what_is_printed_without_end_is_bounded() -> None:
    long: dict[str, object] = {
        "check": "x" * 10_000,
        "state": "y" * 10_000,
        "evidence": "z" * 10_000,
        "remedy": None,
    }
    findings = parse(printed(*[long] * 1000))
    assert len(findings) == 300
    assert (len(findings[0].name), len(findings[0].evidence), findings[0].remedy) == (100, 1000, "")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_output_does_more_than_fail_to_be_understood(output: bytes) -> None:
    try:
        findings = parse(output)
    except ValueError:
        return
    assert all(isinstance(each, Finding) for each in findings)


@pytest.mark.parametrize("state", [*STATES, "odd"])
def test_each_state_has_a_word_and_an_icon(state: str) -> None:
    assert finding_word(state)
    assert finding_icon(Finding("x", state)) in icons.NAMES


def test_the_remedy_can_be_copied(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "COPIED_MS", 1)
    copied: list[str] = []
    monkeypatch.setattr(parts, "copy_text", copied.append)
    row = FindingRow(Finding("agent", "failed", "no python", "install it:\n  apt install python3"))
    qtbot.addWidget(row)
    button = row.findChild(CopyButton, "copy-remedy")
    assert isinstance(button, CopyButton)
    with qtbot.waitSignal(button._over.timeout):
        button.click()
    assert copied == ["install it:\n  apt install python3"]
    assert "no python" in row.accessibleName()


def test_what_was_found_is_text_and_nothing_else(qtbot: QtBot) -> None:
    row = FindingRow(Finding("<b>x</b>", "error", "a\x1b[31m\u202eb", "<a href='file:///'>do</a>"))
    qtbot.addWidget(row)
    texts = {label.objectName(): label.text() for label in row.findChildren(QLabel)}
    assert texts["finding-title"] == "<b>x</b>: Error"
    assert texts["finding-evidence"] == "a\ufffd[31m\ufffdb"
    assert texts["finding-remedy"] == "<a href='file:///'>do</a>"
    assert all(label.textFormat().name == "PlainText" for label in row.findChildren(QLabel))


def test_other_findings_take_the_place_of_those_there_were(qtbot: QtBot) -> None:
    rows = FindingRows()
    qtbot.addWidget(rows)
    rows.show_findings([Finding("a", "failed"), Finding("b", "ok")])
    first = rows.findChildren(FindingRow)
    rows.show_findings([Finding("a", "failed"), Finding("b", "ok")])
    assert rows.findChildren(FindingRow) == first
    rows.show_findings([])
    assert rows.isHidden()
    qtbot.waitUntil(lambda: not rows.findChildren(FindingRow))
