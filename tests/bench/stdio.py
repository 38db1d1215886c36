"""By standard input and output beside TCP: two Samehosts with a machine each, in one run.

    client ─▶ mirror ─▶ daemon ══ a stream each ═══════════▶ agent ─▶ server in the container
    client ─▶ mirror ─▶ daemon ══ one pipe (link/mux) ═════▶ agent ─▶ server in the container

Rules: the second is as the first in all but the way of its streams (`stdio_daemon.py`). In a round
every way is measured, one right after the other; CPU is that of daemon and agent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.bench.cases import TCP, Case, Way
from tests.bench.chart import DIRECT, OURS
from tests.bench.contest import compare
from tests.bench.figures import Figure
from tests.bench.others import Quiet, tree_seconds
from tests.bench.plan import Plan
from tests.bench.stage import Stage, another_stage

__all__ = ["measure_stdio"]

DAEMON: Final = "tests.integration.stdio_daemon"
STDIO: Final = "stdio"
LOAD: Final = "load"
"""The program whose CPU is not ours."""


def measure_stdio(stage: Stage, plan: Plan) -> list[Figure]:
    """From the desktop to a server in the container, TCP."""
    with another_stage(stage, STDIO, DAEMON) as second:
        ways = [_way(OURS, stage), _way(STDIO, second), _direct(stage)]
        quiet = Quiet.on(stage, lambda: second.pids)
        return compare(ways, _cases(), plan, plan.peer_rounds, quiet)


def _way(name: str, stage: Stage) -> Way:
    port = stage.serve_in_container()
    return Way(name, stage.load, "127.0.0.1", port, lambda: tree_seconds(stage.pids, LOAD))


def _direct(stage: Stage) -> Way:
    return Way(DIRECT, stage.load, stage.addresses[0], stage.serve_in_container())


def _cases() -> list[Case]:
    """Those of the comparison, with names of their own and nothing required."""
    return [
        replace(
            case,
            readings=tuple(
                replace(reading, name=f"by stdio: {reading.name}", limit=None)
                for reading in case.readings
            ),
        )
        for case in TCP
        if case.is_needed
    ]
