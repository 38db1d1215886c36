"""Checks of the way to the machines: reached, and with a Python there.

Rules: of a machine that is connected the daemon's word counts; to any other we go ourselves, step
by step as `samehost machine doctor` does, up to an agent of our own that ends at once.
"""

from __future__ import annotations

from desktop.doctor.patient import MachineView, Patient
from desktop.doctor.verdict import Verdict, error, note, ok, skipped, warning, worst
from desktop.machines.examination import Finding

__all__ = ["check_machine", "check_python"]


async def check_machine(patient: Patient) -> Verdict:
    """The machines are reached."""
    return worst([(view.name, _reached(view)) for view in await patient.machines()])


def _reached(view: MachineView) -> Verdict:
    status = view.status
    if status is not None:
        limits = status["transport_limits"]
        words = f"{view.name} is connected: kernel {status['kernel']}, over {status['transport']}"
        return note(f"{words}; {limits}") if limits else ok(words)
    failed = next((step for step in view.steps if step.state == "failed"), None)
    if failed is None:
        return warning(
            f"{view.name} can be reached ({_last(view.steps)}), and is not connected",
            "samehost up; if it runs: samehost logs",
        )
    seen = ", ".join(step.step for step in view.steps if step.state == "ok")
    words = f"{view.name}: {failed.step}: {failed.evidence}" + (
        f" (well so far: {seen})" if seen else ""
    )
    more = f"step by step: samehost machine doctor {view.name}"
    return error(words, f"{failed.remedy}\n{more}" if failed.remedy else more)


def _last(steps: tuple[Finding, ...]) -> str:
    return f"{steps[-1].step}: {steps[-1].evidence}" if steps else "no step to look at"


async def check_python(patient: Patient) -> Verdict:
    """The machines have a Python for the agent."""
    return worst([(view.name, _python(view)) for view in await patient.known_machines()])


def _python(view: MachineView) -> Verdict:
    if view.status is not None:
        return ok(f"the agent runs on Python {view.status['python']}")
    step = view.step("python")
    if step is None or step.state == "not reached":
        return skipped("not reached: see the check machine")
    return ok(step.evidence) if step.state == "ok" else error(step.evidence, step.remedy)
