"""Check that bytes pass: through a temporary mirror each way, by TCP and by UDP.

Rules: the daemon and the agents do it (`desktop/daemon/trials.py`), with ports of the kernel's
choice, past the rules for ports; nothing is left. Limit: where containers are redirected to this
computer's ports, the agent, which is no container, uses a socket instead.
"""

from __future__ import annotations

from typing import Any, Final

from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict, error, note, ok, skipped, worst
from desktop.errors import NotRunningError

__all__ = ["check_self_test", "judge_trials"]

ANSWER_SECONDS: Final = 12.0
"""How long the daemon may take for one machine."""
WAYS: Final = {"machine": "to the machine", "host": "from the machine"}


async def check_self_test(patient: Patient) -> Verdict:
    """A byte passes each way by TCP and UDP."""
    machines = (await patient.status())["machines"]
    connected = [each["name"] for each in machines if each["state"] == "connected"]
    if not connected:
        raise NotSeenError("no machine is connected: see the check machine")
    return worst([(name, await _try(patient, name)) for name in connected])


async def _try(patient: Patient, name: str) -> Verdict:
    try:
        return judge_trials(await patient.ask("self_test", ANSWER_SECONDS, machine=name))
    except NotRunningError as reason:
        return skipped(f"{reason.message}: see the check switch")


def judge_trials(trials: list[dict[str, Any]]) -> Verdict:
    """By what became of each byte."""
    failed = [f"{_way(each)}: {each['problem']}" for each in trials if each["problem"]]
    words = ", ".join(
        f"{_way(each)} in {each['seconds'] * 1000:.1f} ms" for each in trials if not each["problem"]
    )
    if failed:
        evidence = f"no byte passes {'; '.join(failed)}" + (f"; it does {words}" if words else "")
        return error(evidence, "see: samehost logs; then samehost down and samehost up")
    if not any(each["origin"] == "host" for each in trials):
        return note(f"a byte passes {words}; not from the machine, since reachHost is off")
    return ok(f"a byte passes {words}")


def _way(trial: dict[str, Any]) -> str:
    return f"{WAYS[trial['origin']]} by {trial['protocol'].upper()}"
