"""Memory under idle TCP flows, ours and docker-proxy's; how long daemon and agent take to start.

Rules: memory of flows is Pss less that with none, over the flows: buffers of the kernel are not in
it. Each size is reached from no flow at all; what the smaller one has left behind is in the larger
one's beginning. If a process may not have files for so many flows, there are fewer.

A start of the daemon is of one with a folder of its own and no machine. That of the agent is the
time from the end of the one before: the daemon starts the next at once. A mirror is there when the
server in the container, which has listened all the time, answers through it.

Limits: the processes have run before, so their files are in memory, and the engine runs already.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from desktop.cli.launch import start_daemon
from desktop.cli.stopping import stop_daemon
from desktop.errors import SamehostError
from desktop.paths import HOME_VARIABLE, Paths
from tests.bench.chart import OURS
from tests.bench.cost import await_flows
from tests.bench.figures import Figure, Requirement
from tests.bench.peers import ADDRESS, DOCKER_PROXY, started
from tests.bench.plan import Plan
from tests.bench.processes import memory_mib
from tests.bench.stage import Stage

__all__ = ["await_so", "echoes", "measure_flows", "measure_start", "possible"]

MOST_KIB: Final = 24.0
"""A flow, daemon and agent together."""
OUR_FILES: Final = 2
"""A flow: one socket to each side."""
PROXY_FILES: Final = 6
"""docker-proxy has two pipes as well, which Go's runtime keeps while a flow is idle."""
OTHER_FILES: Final = 1000
KIB_PER_MIB: Final = 1024
PATIENCE_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.002
TRY_SECONDS: Final = 0.5

Memory = tuple[int, float, float]
"""Flows, MiB with none of them, KiB for each."""


def measure_flows(stage: Stage, plan: Plan) -> list[Figure]:
    """Memory with none, and more of it per flow with so many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = stage.serve_in_container()
    datagrams = stage.serve_datagrams_in_container()
    route = stage.route(f"{DOCKER_PROXY.name} of idle flows", port, datagrams.port)
    figures: list[Figure] = []
    with started(DOCKER_PROXY, route) as running:
        for size in plan.idle_flows:
            count = possible(size, most, OUR_FILES)
            ours = _per_flow(stage, "127.0.0.1", port, count, lambda: stage.pids)
            await_flows(stage, 0)
            count = possible(size, most, PROXY_FILES)
            proxy = _per_flow(stage, ADDRESS, running.port, count, lambda: running.pids)
            figures += _figures(size, ours, proxy)
    return figures


def _figures(size: int, ours: Memory, proxy: Memory) -> Iterator[Figure]:
    required = Requirement(f"at most {MOST_KIB:g} KiB", ours[-1] <= MOST_KIB)
    names = ("idle flows held", "memory before them", "memory per flow")
    units = ("", "MiB", "KiB")
    for name, unit, value, other in zip(names, units, ours, proxy, strict=True):
        title = f"{name}, of {size}" if not unit else f"{name}, {size} idle flows"
        judged = required if unit == "KiB" else None
        yield Figure(title, unit, (value,), required=judged, proxy=(other,), way=OURS)
        yield Figure(title, unit, (other,), way=DOCKER_PROXY.name)


def possible(flows: int, files: int, per_flow: int) -> int:
    """As many of them as fit so many files, in whole hundreds unless all do."""
    room = (files - OTHER_FILES) // per_flow
    return flows if flows <= room else max(room // 100 * 100, 1)


def measure_start(stage: Stage, plan: Plan) -> list[Figure]:
    """Seconds until daemon, agent and first mirror are there."""
    port = stage.serve_in_container()
    agents = [_restart_agent(stage, port) for _ in range(plan.starts)]
    return [
        Figure("daemon, start", "s", tuple(_start_daemon(stage) for _ in range(plan.starts))),
        Figure("agent, start", "s", tuple(agent for agent, _ in agents)),
        Figure("agent, start to first mirror", "s", tuple(mirror for _, mirror in agents)),
    ]


def _per_flow(
    stage: Stage, address: str, port: int, count: int, pids: Callable[[], Sequence[int]]
) -> Memory:
    """How many flows, MiB with none, and KiB more for each. Raises SamehostError."""
    none = sum(map(memory_mib, pids()))
    with stage.load.running("idle", address, port, count):
        try:
            more = sum(map(memory_mib, pids())) - none
        except (FileNotFoundError, ProcessLookupError) as error:
            raise SamehostError(f"what carries ended under {count} flows", "ulimit -n") from error
    return count, none, more * KIB_PER_MIB / count


def _start_daemon(stage: Stage) -> float:
    with _home(stage) as paths:
        begin = time.monotonic()
        try:
            start_daemon(paths)
            return time.monotonic() - begin
        finally:
            stop_daemon(paths, lambda _: None)


@contextlib.contextmanager
def _home(stage: Stage) -> Iterator[Paths]:
    """Another folder than the stage's for daemons that are started."""
    before, home = os.environ[HOME_VARIABLE], stage.folder / "another"
    os.environ[HOME_VARIABLE] = str(home)
    try:
        yield Paths.under(home)
    finally:
        os.environ[HOME_VARIABLE] = before


def _restart_agent(stage: Stage, port: int) -> tuple[float, float]:
    """Seconds until a new agent is connected, and until a mirror carries."""
    begin = time.monotonic()
    os.kill(stage.pids[1], signal.SIGKILL)
    await_so(lambda: not stage.watcher(), "the agent's end is not noticed")
    await_so(lambda: bool(stage.watcher()), "there is no new agent")
    connected = time.monotonic() - begin
    await_so(lambda: echoes(port), "the mirror is not there again")
    return connected, time.monotonic() - begin


def await_so(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until it is so. Raises SamehostError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise SamehostError(otherwise, "see: samehost logs")
        time.sleep(POLL_SECONDS)


def echoes(port: int) -> bool:
    """True if a byte comes back from a server on this computer's loopback."""
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.settimeout(TRY_SECONDS)
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"e!")
        return sock.recv(1) == b"!"
    return False
