"""Check of the container engines: from the machine, where the agent asks them for names, and from
here, where `samehost docker` does.

Rules: an engine is a help, never a need: without one, ports are mirrored and have no names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from desktop.doctor.patient import MachineView, Patient
from desktop.doctor.verdict import NotSeenError, Verdict, error, note, ok, skipped, worst
from desktop.machines.sandbox.engine import ping

__all__ = ["check_engine", "judge_engines"]

UNIX = "unix://"


async def check_engine(patient: Patient) -> Verdict:
    """The engines answer."""
    verdicts = [
        (view.name, _on_the_way(view)) for view in await patient.known_machines() if not view.status
    ]
    try:
        conditions = await patient.conditions()
    except NotSeenError:
        conditions = []
    verdicts += [(each["name"], judge_engines(each)) for each in conditions]
    if conditions:
        verdicts.append(("here", await _from_here(await patient.ask("current_machine"))))
    return worst(verdicts)


def _on_the_way(view: MachineView) -> Verdict:
    step = view.step("engine")
    if step is None or step.state != "ok":
        return skipped("not reached: see the check machine")
    return ok(step.evidence)


def judge_engines(condition: dict[str, Any]) -> Verdict:
    """By what an agent says of those that it follows."""
    if condition["problem"]:
        return skipped(condition["problem"])
    answering = [each["socket"] for each in condition["engines"] if not each["trouble"]]
    silent = [
        f"{each['socket']}: {each['trouble']}" for each in condition["engines"] if each["trouble"]
    ]
    if not condition["engines"]:
        return note("no engine was found: containers are told without their names")
    if not answering:
        name = condition["name"]
        return error(
            f"no engine answers: {'; '.join(silent)}",
            "containers are told without their names; start the engine in the machine, such as"
            f" sudo systemctl start docker, or the machine anew: samehost machine stop {name}, then"
            " samehost up",
        )
    words = f"{', '.join(answering)} answers"
    return note(f"{words}; not {'; '.join(silent)}") if silent else ok(words)


async def _from_here(machine: dict[str, Any] | None) -> Verdict:
    host = machine["docker_host"] if machine else ""
    if not host:
        return note(
            "samehost docker has no way to it", "the machine's tool gives it no socket here"
        )
    if not host.startswith(UNIX):
        return skipped(f"samehost docker goes by {host}")
    if await ping(Path(host.removeprefix(UNIX))):
        return ok(f"{host} answers")
    return error(
        f"{host} does not answer, so samehost docker cannot work",
        "start the engine in the machine, or the machine anew: samehost machine stop NAME, then"
        " samehost up",
    )
