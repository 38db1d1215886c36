"""What it takes: memory, CPU at rest; and whether it keeps anything: descriptors, bytes."""

from __future__ import annotations

import hashlib
import subprocess
import time
from typing import Final

from desktop.errors import SamehostError
from tests.bench.figures import Figure, Requirement
from tests.bench.load import Load
from tests.bench.plan import Plan
from tests.bench.processes import cpu_seconds, memory_mib, settled_files
from tests.bench.stage import Stage

__all__ = ["await_flows", "measure_integrity", "measure_memory", "measure_rest"]

CONNECTIONS: Final = 10_000
WARM_UP: Final = 1_000
SLACK: Final = 16
"""Descriptors that may be more for other reasons, such as a pipe kept ready. They may be fewer:
streams are dialled ahead for as long as they are in demand."""
IDLE_FLOWS: Final = 1_000
LASTING_WIDTH: Final = 16
PATIENCE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
_NAMES: Final = ("daemon", "agent")
MOST_MIB: Final = (45.0, 25.0)
"""Of memory before the first flow."""
MOST_PERCENT: Final = 0.3
"""Of a core at rest, each."""


def measure_memory(stage: Stage, plan: Plan) -> list[Figure]:  # noqa: ARG001 - as all measures
    """Memory with and without flows."""
    port = stage.serve_in_container()
    await_flows(stage, 0)
    without = [memory_mib(pid) for pid in stage.pids]
    with stage.load.running("idle", "127.0.0.1", port, IDLE_FLOWS):
        await_flows(stage, IDLE_FLOWS)
        idle = [memory_mib(pid) for pid in stage.pids]
    await_flows(stage, 0)
    return [
        Figure(f"{name}, memory, {flows}", "MiB", (value,), required=_at_most(value, limit, "MiB"))
        for flows, values, limits in (
            ("no flow yet", without, MOST_MIB),
            (f"{IDLE_FLOWS} idle flows", idle, (None, None)),
        )
        for name, value, limit in zip(_NAMES, values, limits, strict=True)
    ]


def measure_rest(stage: Stage, plan: Plan) -> list[Figure]:
    """CPU while nothing happens, and long enough after what happened last."""
    pids = stage.pids
    settled_files(*pids)
    time.sleep(plan.settle_seconds)
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(plan.rest_seconds)
    spent = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
    return [
        Figure(
            f"{name}, CPU at rest",
            "% of a core",
            (percent := seconds / plan.rest_seconds * 100,),
            required=_at_most(percent, MOST_PERCENT, "%"),
        )
        for name, seconds in zip(_NAMES, spent, strict=True)
    ]


def _at_most(value: float, limit: float | None, unit: str) -> Requirement | None:
    if limit is None:
        return None
    return Requirement(f"at most {limit:g} {unit}", value <= limit)


def measure_integrity(stage: Stage, plan: Plan) -> list[Figure]:
    """Descriptors before and after many connections; digests of much data."""
    _check_digest(stage.load)
    port = stage.serve_in_container()
    figures = _connections(stage, port)
    figures += [_digest(stage, port, direction, plan) for direction in ("up", "down")]
    if plan.lasting_connections:
        figures.append(_lasting(stage, port, plan.lasting_connections))
    return figures


def _connections(stage: Stage, port: int) -> list[Figure]:
    stage.load.run("connect", "127.0.0.1", port, WARM_UP, 1)
    await_flows(stage, 0)
    before = settled_files(*stage.pids)
    stage.load.run("connect", "127.0.0.1", port, CONNECTIONS, 1)
    await_flows(stage, 0)
    after = settled_files(*stage.pids)
    return [
        Figure(
            f"{name}, files more after {CONNECTIONS} connections",
            f"from {old}",
            (float(new - old),),
            required=Requirement("no more than before", new - old <= SLACK),
        )
        for name, old, new in zip(_NAMES, before, after, strict=True)
    ]


def _lasting(stage: Stage, port: int, count: int) -> Figure:
    """The rate of more connections in a minute than a link of one port has room for."""
    answer = stage.load.attempt("connect", "127.0.0.1", port, count, LASTING_WIDTH)
    return Figure(
        f"{count} connections, {LASTING_WIDTH} at once",
        "1/s",
        (count / answer["seconds"],),
        required=Requirement("none fails", not answer["failures"]),
    )


def _digest(stage: Stage, port: int, direction: str, plan: Plan) -> Figure:
    answer = stage.load.run("digest", "127.0.0.1", port, direction, plan.digest_bytes)
    is_same = answer["here"] == answer["there"] and answer["bytes"] == plan.digest_bytes
    return Figure(
        f"bytes compared by SHA-256, {direction}",
        "MiB",
        (answer["bytes"] / (1 << 20),),
        required=Requirement("equal", is_same),
    )


def _check_digest(load: Load) -> None:
    """The load program's SHA-256 is right. Raises SamehostError."""
    data = bytes(range(256)) * 1000 + b"and a rest"
    result = subprocess.run([*load.command, "sha256"], input=data, capture_output=True, check=True)
    if hashlib.sha256(data).hexdigest() not in result.stdout.decode():
        raise SamehostError("sha256.c computes a wrong SHA-256", "mend sha_block")


def await_flows(stage: Stage, count: int) -> None:
    """Until so many TCP flows are open. Raises SamehostError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (flows := stage.flows()) != count:
        if time.monotonic() > deadline:
            raise SamehostError(
                f"there are {flows} flows instead of {count}", "see: samehost ports"
            )
        time.sleep(POLL_SECONDS)
