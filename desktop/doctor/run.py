"""Takes checks one after the other, each within its time, whatever becomes of the others.

Rules: a check that raises, hangs or is broken is a finding like any other. Counterparts:
`checks.py` has them, `desktop/cli/doctor.py` shows the findings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable

from desktop.doctor.checks import Check
from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict, error, skipped
from desktop.errors import ExitCode, SamehostError
from desktop.machines.examination import Finding

__all__ = ["REPORT", "exit_code", "take"]

REPORT = "this is a fault of Samehost: report it with the file of samehost doctor --bundle FILE"

log = logging.getLogger(__name__)


async def take(
    checks: Iterable[Check], patient: Patient, begins: Callable[[Check], None]
) -> AsyncIterator[Finding]:
    """Take the checks; `begins` is told of each before it is taken."""
    for check in checks:
        begins(check)
        began = time.monotonic()
        verdict = await _take(check, patient)
        seconds = round(time.monotonic() - began, 3)
        yield Finding(check.name, verdict.state, verdict.evidence, verdict.remedy, seconds)


async def _take(check: Check, patient: Patient) -> Verdict:
    try:
        async with asyncio.timeout(check.seconds):
            return await check.look(patient)
    except NotSeenError as reason:
        return skipped(reason.message)
    except SamehostError as reason:
        return error(reason.message, reason.remedy)
    except TimeoutError:
        words = f"the check took longer than {check.seconds:.0f} s"
        return error(words, "try again; whatever it looks at may hang")
    except OSError as reason:
        what = f"{reason.filename}: " if reason.filename else ""
        words = f"this computer did not let it be looked at: {what}{reason.strerror or reason}"
        return error(words, "run as the user of this Samehost, or as root")
    except Exception as fault:
        log.debug("the check %s is broken", check.name, exc_info=fault)
        return error(f"the check is broken: {type(fault).__name__}: {fault}", REPORT)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """What the command ends with."""
    has_error = any(finding.state == "error" for finding in findings)
    return ExitCode.FAILED if has_error else ExitCode.DONE
