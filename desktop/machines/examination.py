"""Findings, and looking at a machine step by step: `samehost machine doctor`.

Rules: a step looks and says what it saw, or raises what is wrong with its remedy; what comes after
one that failed cannot be seen and is left out. Nothing is changed, and nothing is left.
Counterparts: machines and shells say which steps there are to theirs; `desktop/doctor/` has the
checks of a whole Samehost, whose findings have the same form.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from desktop.errors import ExitCode, SamehostError
from desktop.transports.transport import TransportError

__all__ = ["Finding", "State", "Step", "examine", "exit_code"]

State = Literal["ok", "failed", "not reached", "note", "warning", "error", "skipped"]
"""Of steps the first three; of checks "ok" and the others."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to see to. `is_way`: without it the machine cannot be reached at all."""

    name: str
    look: Callable[[], Awaitable[str]]
    is_way: bool = False


class Finding(msgspec.Struct, frozen=True):
    """What a step or check has shown."""

    step: str
    """The name of the step, or of the check."""
    state: State
    """One of the states of a finding."""
    evidence: str = ""
    """What was seen, or what is wrong."""
    remedy: str = ""
    """What to do, in lines; empty: nothing."""
    seconds: float = 0.0
    """How long it took to look."""
    is_way: bool = False
    """True if the machine cannot be reached without it."""


async def examine(steps: Iterable[Step]) -> AsyncIterator[Finding]:
    """Take the steps, up to and with the first that fails; the others are said to be left out."""
    has_failed = False
    for step in steps:
        if has_failed:
            yield Finding(step.name, "not reached", is_way=step.is_way)
            continue
        finding = await _take(step)
        has_failed = finding.state == "failed"
        yield finding


async def _take(step: Step) -> Finding:
    began = time.monotonic()
    remedy = ""
    try:
        evidence = await step.look()
        state: State = "ok"
    except SamehostError as error:
        state, evidence, remedy = "failed", error.message, error.remedy
    except TransportError as error:
        state, evidence = "failed", str(error)
    seconds = round(time.monotonic() - began, 3)
    return Finding(step.name, state, evidence, remedy, seconds, step.is_way)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """What the command ends with."""
    failed = [finding for finding in findings if finding.state == "failed"]
    if not failed:
        return ExitCode.DONE
    is_unreachable = any(finding.is_way for finding in failed)
    return ExitCode.MACHINE_UNREACHABLE if is_unreachable else ExitCode.FAILED
