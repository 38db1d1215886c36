"""What detection costs the agent: CPU at rest and in a storm of binds, memory, time of a scan.

At rest: settle_seconds after the last change, when the pace has become slow; in each tier, with
one host-networked container in which nothing listens, and in tier 1 with many listeners, too.
Storm: PER_SECOND a second, one after the other, each closed when the next is there: TCP listeners
on ports that the program names, and UDP sockets on ports of the kernel's choice, as resolvers use
them; in each tier.

Scan: the agent's own, `Watcher.rescan`, by a process in the machine that has the agent's file and
no desktop: dump, owners, comparison. "All new" is the first scan of a new watcher, which looks for
all owners; "nothing new" what each further one takes. Half of the sockets are TCP listeners of one
container, half its UDP sockets; those of the machine itself are there as well.

Limits: memory is Pss, as elsewhere in the bench. A scan's time is its CPU time, since a scan waits
for nothing but a core. In the lower tiers storms are shorter. Where other programs of this computer
begin and cease to listen meanwhile, the agent opens and closes stubs for them, also "at rest".

Counterparts: `storm`, `standing` in `listeners.c`.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Final

from desktop.errors import SamehostError
from tests.bench.figures import Figure, Requirement
from tests.bench.plan import Plan
from tests.bench.processes import cpu_seconds, memory_mib
from tests.bench.stage import Stage
from tests.bench.tiers import BEST, TIERS, Tier

__all__ = ["measure_scan", "measure_watching"]

REQUIRED_PERCENT: Final = 0.3
"""Of a core, at rest."""

PER_SECOND: Final = 1000
STORM_PORTS: Final = 200
OTHERS_SHARE: Final = 3
"""In the other tiers a storm is so many times shorter."""
STORM_NAMES: Final = {"tcp": "TCP listeners", "udp": "UDP sockets on port 0"}
SCAN_SIZES: Final = (10, 1000, 10_000)
NEW_SCANS_SHARE: Final = 5
"""Scans of all new sockets are so many times fewer."""
SCAN_SECONDS: Final = 120.0
PATIENCE_SECONDS: Final = 60.0
"""Until as many mirrors are open as there are listeners, and closed."""
POLL_SECONDS: Final = 0.2

SCAN_PROGRAM: Final = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from vmagent.watch.watcher import Watcher

def new():
    return Watcher(on_change=lambda *_: None, own_inodes=frozenset, engine=None)

def timed(watcher):
    begin = time.thread_time()
    watcher.rescan()
    return (time.thread_time() - begin) * 1e3

count, most = int(sys.argv[2]), int(sys.argv[3])
watcher = new()
first = [timed(watcher)] + [timed(new()) for _ in range(most // int(sys.argv[4]))]
again = [timed(watcher) for _ in range(most)]
print(json.dumps({"first": first, "again": again, "found": len(watcher.listeners)}))
"""


def measure_watching(stage: Stage, plan: Plan) -> list[Figure]:
    """CPU and memory of the agent in each tier."""
    figures = []
    for tier in TIERS:
        stage.use_tier(tier)
        figures += _at_rest(stage, plan, f"{tier.name}: agent", REQUIRED_PERCENT)
        for protocol in STORM_NAMES:
            figures += _in_storm(stage, plan, tier, protocol)
    stage.use_tier(BEST)
    return figures


def measure_scan(stage: Stage, plan: Plan) -> list[Figure]:
    """Time of a scan with few and many sockets; what the agent needs where there are many."""
    figures = []
    sizes = [size for size in SCAN_SIZES if size <= plan.standing_listeners]
    for count in sizes:
        ports = stage.block(count // 2)
        with stage.load_in_container.running("standing", ports.start, count):
            _await_mirrors(stage, ports, count)
            figures += _scans(stage, plan, count)
            if count == sizes[-1]:
                name = f"{BEST.name}: agent, {count} standing listeners"
                figures += _at_rest(stage, plan, name, None)
        _await_mirrors(stage, ports, 0)
    return figures


def _at_rest(stage: Stage, plan: Plan, name: str, required_percent: float | None) -> list[Figure]:
    _, agent = stage.pids
    time.sleep(plan.settle_seconds)
    before = cpu_seconds(agent)
    time.sleep(plan.tier_rest_seconds)
    percent = (cpu_seconds(agent) - before) / plan.tier_rest_seconds * 100
    required = None
    if required_percent is not None:
        met = percent <= required_percent
        required = Requirement(f"at most {required_percent} %", met)
    return [
        Figure(f"{name}, CPU at rest", "% of a core", (percent,), required=required),
        Figure(f"{name}, memory", "MiB", (memory_mib(agent),)),
    ]


def _in_storm(stage: Stage, plan: Plan, tier: Tier, protocol: str) -> list[Figure]:
    pids = stage.pids
    seconds = plan.storm_seconds if tier is BEST else plan.storm_seconds / OTHERS_SHARE
    ports = stage.block(STORM_PORTS)
    load = stage.load_in_container
    with load.running("storm", protocol, ports.start, STORM_PORTS, PER_SECOND) as storm:
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(seconds)
        spent = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
        answer = storm.last_answer()
    rate = answer["count"] / answer["seconds"]
    name = f"{tier.name}: {rate:.0f}/s {STORM_NAMES[protocol]}"
    return [
        Figure(f"{name}, {who}", "% of a core", (cpu / seconds * 100,))
        for who, cpu in zip(("daemon", "agent"), spent, strict=True)
    ]


def _scans(stage: Stage, plan: Plan, count: int) -> list[Figure]:
    command = stage.command_in_machine(
        *("python3", "-I", "-c", SCAN_PROGRAM, str(stage.agent_file)),
        *(str(count), str(plan.scans), str(NEW_SCANS_SHARE)),
    )
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SCAN_SECONDS
    )
    if result.returncode:
        raise SamehostError(f"scans in the machine failed: {result.stderr.strip()}")
    answer: dict[str, Any] = json.loads(result.stdout)
    if answer["found"] < count:
        raise SamehostError(f"a scan found {answer['found']} listeners instead of {count}")
    return [
        Figure(f"scan of {count} sockets, {name}", "ms", tuple(answer[key]))
        for key, name in (("first", "all new"), ("again", "nothing new"))
    ]


def _await_mirrors(stage: Stage, ports: range, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with stage.api() as client:
        while (rows := sum(_is_mirror(row, ports) for row in client.ports()[1])) != count:
            if time.monotonic() > deadline:
                raise SamehostError(f"{rows} mirrors are open instead of {count}")
            time.sleep(POLL_SECONDS)


def _is_mirror(row: dict[str, Any], ports: range) -> bool:
    is_open = (row["origin"], row["state"]) == ("machine", "active")
    return is_open and row["machine_port"] in ports
