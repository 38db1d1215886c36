"""Findings of `samehost doctor` and `samehost machine doctor`, for people and programs.

Rules: a line for each, as soon as it is known, and its remedy below. Counterpart:
`desktop.machines.examination.Finding`.
"""

from __future__ import annotations

import sys
from typing import Final

from desktop.cli.output import clean, paint
from desktop.machines.examination import Finding

__all__ = ["finding_as_json", "print_finding"]

STATE_WIDTH: Final = 11
UNTRIED: Final = ("not reached", "skipped")
"""States of what took no time."""


def finding_as_json(finding: Finding, name: str) -> dict[str, object]:
    """The finding with `name` ("step" or "check") as the first field's."""
    rest = ("state", "evidence", "remedy", "seconds")
    return {name: finding.step, **{field: getattr(finding, field) for field in rest}}


def print_finding(finding: Finding, width: int) -> None:
    """A line for people; `width` is the names' column's."""
    name, state = finding.step.ljust(width), finding.state.ljust(STATE_WIDTH)
    seconds = f"{finding.seconds:7.3f} s" if finding.state not in UNTRIED else " " * 9
    print(f"{name}  {paint(state, sys.stdout)}  {seconds}  {clean(finding.evidence)}".rstrip())
    for line in finding.remedy.splitlines():
        print(f"  {clean(line)}")
    sys.stdout.flush()
