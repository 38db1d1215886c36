"""What a check finds: a state, the evidence for it, and what to do.

Rules: pure words. `ok` is as it should be, `note` worth knowing, `warning` costs something,
`error` keeps Samehost from working, `skipped` could not be looked at. Counterparts: the checks give
verdicts, `run.py` makes findings of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from desktop.errors import SamehostError
from desktop.machines.examination import State

__all__ = [
    "NotSeenError",
    "Verdict",
    "error",
    "note",
    "ok",
    "skipped",
    "warning",
    "worst",
]

BY_WEIGHT: Final[Sequence[State]] = ("skipped", "ok", "note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's, or one machine's part of it."""

    state: State
    evidence: str
    remedy: str = ""


class NotSeenError(SamehostError):
    """What a check looks at cannot be seen, for a reason that another check tells."""


def ok(evidence: str) -> Verdict:
    """All is as it should be."""
    return Verdict("ok", evidence)


def note(evidence: str, remedy: str = "") -> Verdict:
    """Worth knowing, and no fault."""
    return Verdict("note", evidence, remedy)


def warning(evidence: str, remedy: str) -> Verdict:
    """Something is worse than it could be."""
    return Verdict("warning", evidence, remedy)


def error(evidence: str, remedy: str) -> Verdict:
    """Something does not work."""
    return Verdict("error", evidence, remedy)


def skipped(evidence: str) -> Verdict:
    """There was nothing to look at, and why."""
    return Verdict("skipped", evidence)


def worst(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """The verdict on several things, by their names: the worst, with the evidence for all.

    The names are left out where there is but one.
    """
    if not verdicts:
        return skipped("there is nothing to look at")
    if len(verdicts) == 1:
        return verdicts[0][1]
    states = [each.state for _, each in verdicts]
    state = max(BY_WEIGHT, key=lambda each: (each in states, BY_WEIGHT.index(each)))
    evidence = "; ".join(f"{name}: {each.evidence}" for name, each in verdicts)
    remedies = dict.fromkeys(each.remedy for _, each in verdicts if each.remedy)
    return Verdict(state, evidence, "\n".join(remedies))
