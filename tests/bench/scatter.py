"""What a flood from very many UDP sources costs: memory, flows, descriptors; and what it leaves.

Rules: each source sends one datagram, which the server answers, and listens a moment longer; each
is a client of its own to one mirror. Daemon and agent are looked at every LOOK_SECONDS meanwhile.
Afterwards flows are made to end soon, and what was there before must be left.

Limits: memory is Pss, so what the kernel keeps for sockets is not in it; that is bounded by the
number of flows times the buffers asked for (`link/datagrams/linux.py`).

Counterparts: `datagrams.c` sends; `link/datagrams/flows.py` is the limit.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from desktop.api.client import ApiClient
from desktop.errors import SamehostError
from tests.bench.figures import Figure, Requirement
from tests.bench.plan import Plan
from tests.bench.processes import memory_mib, open_files
from tests.bench.stage import DatagramServer, Stage

__all__ = ["measure_udp_scatter"]

SOURCES_PER_SECOND: Final = 10_000
LOOK_SECONDS: Final = 0.05
MOST_MEMORY_MIB: Final = 64.0
"""More of it, per process, than before the flood."""
SLACK: Final = 16
"""Descriptors that may be more for other reasons, such as streams dialled ahead."""
IDLE_SECONDS: Final = 1
"""Of silence, after which flows are made to end when the flood is over."""
END_SECONDS: Final = 15.0
IDLE_KEY: Final = "udpIdleSeconds"
FLOWS_KEY: Final = "maxUdpFlows"
_NAMES: Final = ("daemon", "agent")


def measure_udp_scatter(stage: Stage, plan: Plan) -> list[Figure]:
    """One datagram from each of very many sources, through one mirror."""
    server = stage.serve_datagrams_in_container()
    with stage.api() as client:
        most_flows = int(_setting(client, FLOWS_KEY))
        _end_flows(client)
        before = tuple(map(open_files, stage.pids))
        arguments = (str(server.orders), plan.udp_sources, SOURCES_PER_SECOND)
        with ThreadPoolExecutor(1) as pool:
            flood = pool.submit(stage.load.run, "udp-scatter", "127.0.0.1", server.port, *arguments)
            looks = _watch(stage, client, server, flood)
        reason = _row(client, server)["reason"]
        _end_flows(client)
        left = _await_files(stage.pids, before)
    return [
        *_arrived(flood.result()),
        *_memory_figures(plan, [look.memory for look in looks]),
        *_flow_figures(max(look.flows for look in looks), most_flows, reason),
        *_file_figures("at once", before, [look.files for look in looks], most_flows + SLACK),
        *_file_figures("left", before, [left], SLACK),
    ]


@dataclass(frozen=True, slots=True)
class _Look:
    """Memory and descriptors of both processes, and the mirror's flows."""

    memory: tuple[float, ...]
    files: tuple[int, ...]
    flows: int


def _watch(
    stage: Stage, client: ApiClient, server: DatagramServer, flood: Future[dict[str, Any]]
) -> list[_Look]:
    """Again and again while the flood lasts, and once after it."""
    pids = stage.pids
    looks = []
    while True:
        is_over = flood.done()
        flows = int(_row(client, server)["flows"])
        looks.append(_Look(tuple(map(memory_mib, pids)), tuple(map(open_files, pids)), flows))
        if is_over:
            return looks
        time.sleep(LOOK_SECONDS)


def _arrived(answer: dict[str, Any]) -> list[Figure]:
    share = 100 / answer["sent"]
    crossed = float(answer["crossed"])
    none = Requirement("none", not crossed)
    return [
        Figure("UDP sources whose datagram arrived", "%", (answer["received"] * share,)),
        Figure("UDP sources whose answer arrived", "%", (answer["answered"] * share,)),
        Figure("UDP sources that got another's answer", "", (crossed,), required=none),
    ]


def _memory_figures(plan: Plan, looks: list[tuple[float, ...]]) -> list[Figure]:
    figures = []
    for name, values in zip(_NAMES, zip(*looks, strict=True), strict=True):
        more = max(values) - values[0]
        required = Requirement(f"at most {MOST_MEMORY_MIB:.0f} MiB", more <= MOST_MEMORY_MIB)
        name = f"{name}, memory more under {plan.udp_sources} UDP sources"
        figures.append(Figure(name, f"MiB, from {values[0]:.1f}", (more,), required=required))
    return figures


def _flow_figures(at_once: int, most: int, reason: str) -> list[Figure]:
    evicted = float(reason.split()[0]) if "evicted" in reason else 0.0
    within = Requirement(f"at most {most}", at_once <= most)
    shown = Requirement("shown", evicted > 0)
    return [
        Figure("UDP flows at once", "", (float(at_once),), required=within),
        Figure("UDP flows evicted, as the row says", "", (evicted,), required=shown),
    ]


def _file_figures(
    when: str, before: tuple[int, ...], looks: list[tuple[int, ...]], most: int
) -> list[Figure]:
    figures = []
    for name, old, counts in zip(_NAMES, before, zip(*looks, strict=True), strict=True):
        more = max(counts) - old
        required = Requirement(f"at most {most}", more <= most)
        name = f"{name}, files more for UDP flows, {when}"
        figures.append(Figure(name, f"from {old}", (float(more),), required=required))
    return figures


def _await_files(pids: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    """Descriptors once there are hardly more than before, or after END_SECONDS."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        now = tuple(map(open_files, pids))
        is_settled = all(new - old <= SLACK for new, old in zip(now, before, strict=True))
        if is_settled or time.monotonic() > deadline:
            return now
        time.sleep(LOOK_SECONDS)


def _end_flows(client: ApiClient) -> None:
    """Until no UDP flow is left, for want of datagrams. Raises SamehostError."""
    usual = _setting(client, IDLE_KEY)
    client.call("set_setting", {"key": IDLE_KEY, "value": IDLE_SECONDS})
    deadline = time.monotonic() + END_SECONDS
    while flows := client.call("status")["flows"]["udp"]:
        if time.monotonic() > deadline:
            raise SamehostError(f"{flows} silent UDP flows do not end", "see: samehost ports")
        time.sleep(LOOK_SECONDS)
    client.call("set_setting", {"key": IDLE_KEY, "value": usual})


def _setting(client: ApiClient, key: str) -> Any:
    return next(setting["value"] for setting in client.call("settings") if setting["key"] == key)


def _row(client: ApiClient, server: DatagramServer) -> dict[str, Any]:
    """The mirror's row. Raises SamehostError if it is gone."""
    for row in client.ports()[1]:
        if (row["protocol"], row["machine_port"]) == ("udp", server.port):
            return row
    raise SamehostError(f"UDP port {server.port} has no row", "see: samehost ports")
