"""What is not as it should be with machines, and what to do: from the daemon, or an examination.

    parse(output)     what `samehost doctor --json` or `machine doctor --json` has printed
    in_order(found)   problems first

Rules: pure. The output is a program's and may be anything: what is not understood is an error with
a message, and all that is kept is bounded. Counterparts: `finding_rows.py` shows findings,
`desktop/machines/examination.py` makes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QCoreApplication

from gui.machine.words import cut

__all__ = ["Finding", "in_order", "parse", "severity", "summary"]

translate = QCoreApplication.translate

MOST_FINDINGS: Final = 300
LONGEST_NAME: Final = 100

_RANKS: Final = {
    "failed": 0,
    "error": 0,
    "warning": 1,
    "note": 2,
    "not reached": 4,
    "skipped": 5,
    "ok": 6,
}
"""What should be read first."""
_UNKNOWN: Final = 3
"""Rank of a state that is not known here: before what went well."""

_NAMES: Final = ("check", "step")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `evidence` is what was seen, `remedy` what to do."""

    name: str
    state: str
    evidence: str = ""
    remedy: str = ""


def severity(finding: Finding) -> int:
    """0 for what is wrong, more for what matters less."""
    return _RANKS.get(finding.state, _UNKNOWN)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Problems first, else as they came."""
    return sorted(findings, key=severity)


def summary(findings: Iterable[Finding]) -> str:
    """All of it in a few words."""
    ranks = [severity(finding) for finding in findings]
    wrong, warnings = ranks.count(0), ranks.count(1)
    if not ranks:
        return translate("MachineFindings", "Nothing was looked at.")
    if wrong:
        return translate("MachineFindings", "%n problem(s) found.", "", wrong)
    if warnings:
        return translate("MachineFindings", "%n warning(s), and no problem.", "", warnings)
    return translate("MachineFindings", "All is well.")


def parse(output: bytes) -> list[Finding]:
    """The findings, as they came. Raises ValueError, which says what is wrong with the output."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise ValueError(cut(f"no JSON: {error}", 200)) from error
    if not isinstance(value, list):
        raise ValueError("no list of findings")
    return [_finding(each) for each in value[:MOST_FINDINGS]]


def _finding(value: Any) -> Finding:
    if not isinstance(value, dict):
        raise ValueError("a finding is no object")
    name = next((value[key] for key in _NAMES if key in value), "")
    return Finding(
        cut(str(name), LONGEST_NAME),
        cut(str(value.get("state", "")), LONGEST_NAME),
        cut(str(value.get("evidence") or "")),
        cut(str(value.get("remedy") or "")),
    )
