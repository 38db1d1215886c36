"""The cases of the comparison: one measurement each, what is read from it, what is required of us.

Rules: pure but for running the load program. A case is measured for one way at a time; `readings`
make figures of what the load program says. A limit is what a release has to reach by our way: as a
ratio to docker-proxy, or to another reading of our own.

Counterpart: `contest.py` runs them for all ways.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from desktop.errors import SamehostError
from tests.bench.datagrams import MIXED, SIZES, arrival_rate, loss
from tests.bench.load import Load
from tests.bench.peers import environment, search_path
from tests.bench.plan import Plan
from tests.bench.traffic import WIDTHS

__all__ = ["CPU", "HOST", "TCP", "UDP", "Case", "Limit", "Reading", "Way"]

BULK_BESIDE: Final = 7
"""Flows that send all they can beside one of small messages."""
BESIDE_TIMES: Final = 2
"""Round trips beside them are rarer: they are measured so many times as long."""
BESIDE_EXTRA_SECONDS: Final = 0.3
"""That the others send longer than that is measured."""
HTTP_WIDTH: Final = 16
HTTP_SECONDS: Final = 1
"""The least that wrk takes."""
GIB: Final = 1 << 30
CPU: Final = "CPU s"
"""A unit: time on cores, of what carries."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a server: a name, where a client connects, and the CPU time of what carries.

    `cpu_seconds` is None if nothing does, or nobody knows. `orders` is the UDP server's socket for
    orders, None if the way is for TCP only. `load` is the load program where clients are.
    """

    name: str
    load: Load
    address: str
    port: int
    cpu_seconds: Callable[[], float] | None = None
    orders: Path | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """Required of our way: at least, or for what should be small at most, so many times another.

    `reading` is another of our own readings; docker-proxy's of the same name if it is "".
    """

    times: float
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a case."""

    name: str
    unit: str
    value: Callable[[Answer], float]
    limit: Limit | None = None
    has_ratios: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement: how it is made, what is read from it, and whether it can be done without."""

    run: Callable[[Way, Plan], Answer]
    readings: tuple[Reading, ...]
    is_needed: bool = True


# ---- measurements ---------------------------------------------------------------------------


def _bulk(direction: str, streams: int) -> Callable[[Way, Plan], Answer]:
    return lambda way, plan: way.load.run(
        "bulk", way.address, way.port, direction, streams, plan.bulk_seconds
    )


def _ping(way: Way, plan: Plan) -> Answer:
    return way.load.run("ping", way.address, way.port, plan.ping_seconds)


def _ping_beside(way: Way, plan: Plan) -> Answer:
    seconds = plan.ping_seconds * BESIDE_TIMES
    with ThreadPoolExecutor(1) as pool:
        target = (way.address, way.port)
        bulk = pool.submit(
            way.load.run, "bulk", *target, "up", BULK_BESIDE, seconds + BESIDE_EXTRA_SECONDS
        )
        answer = way.load.run("ping", *target, seconds)
        bulk.result()
    return answer


def _connect(index: int) -> Callable[[Way, Plan], Answer]:
    return lambda way, plan: way.load.run(
        "connect", way.address, way.port, plan.connections[index], WIDTHS[index]
    )


def _http(way: Way, _plan: Plan) -> Answer:
    """Raises SamehostError if a request fails."""
    wrk = shutil.which("wrk", path=search_path())
    if wrk is None:
        raise SamehostError("HTTP requests need wrk", "scripts/setup peers")
    options = ("--threads", "1", "--connections", str(HTTP_WIDTH), "--duration", f"{HTTP_SECONDS}s")
    result = subprocess.run(
        [wrk, *options, f"http://{way.address}:{way.port}/"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    return {"rate": parse_wrk(result.stdout + result.stderr)}


def parse_wrk(text: str) -> float:
    """Requests per second, as wrk tells them. Raises SamehostError if any failed."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.MULTILINE)
    failed = re.search(r"^\s*(?:Socket errors|Non-2xx).*", text, re.MULTILINE)
    if rate is None or failed or not float(rate[1]):
        raise SamehostError(f"HTTP requests failed: {failed[0].strip() if failed else text[-200:]}")
    return float(rate[1])


def _udp_ping(way: Way, plan: Plan) -> Answer:
    return way.load.run("udp-ping", way.address, way.port, plan.ping_seconds)


def _flood(size: int, flows: int) -> Callable[[Way, Plan], Answer]:
    return lambda way, plan: way.load.run(
        *("udp-flood", way.address, way.port, way.orders, "up", size, flows, 0, plan.udp_seconds)
    )


# ---- readings -------------------------------------------------------------------------------


def _item(key: str) -> Callable[[Answer], float]:
    return lambda answer: float(answer[key])


def _bulk_case(direction: str, streams: int) -> Case:
    name = f"TCP throughput {direction}, {streams} stream{'s' if streams > 1 else ''}"
    cpu = f"CPU per GiB {direction}, {streams} stream{'s' if streams > 1 else ''}"
    return Case(
        _bulk(direction, streams),
        (
            Reading(
                *(name, "Gbit/s", lambda answer: answer["bytes"] * 8e-9 / answer["seconds"]),
                limit=Limit(0.95),
            ),
            Reading(
                *(cpu, CPU, lambda answer: answer["cpu_seconds"] * GIB / answer["bytes"]),
                limit=Limit(1.5),
            ),
        ),
    )


def _connect_case(index: int, title: str) -> Case:
    width = WIDTHS[index]
    name = f"{title}connections, {'one at a time' if width == 1 else f'{width} at once'}"
    limit = Limit((0.85, 0.75)[index])

    def rate(answer: Answer) -> float:
        return float(answer["count"] / answer["seconds"])

    return Case(_connect(index), (Reading(name, "1/s", rate, limit),))


def _flood_case(size: int, flows: int) -> Case:
    name = f"UDP {size} B, {f'{flows} flows mixed' if flows > 1 else 'one flow'}"
    limit = Limit(1.2) if flows > 1 else Limit(3.0) if size != SIZES[1] else None
    return Case(
        _flood(size, flows),
        (
            Reading(f"{name}, arriving", "1/s", arrival_rate, limit),
            Reading(f"{name}, lost", "%", loss, has_ratios=False),
            Reading(f"{name}, CPU per million arriving", CPU, _cpu_per_million),
        ),
    )


def _cpu_per_million(answer: Answer) -> float:
    return float(answer["cpu_seconds"] * 1e6 / max(answer["received"], 1))


_TRIP: Final = "64 B round trip"
_BESIDE: Final = f"{_TRIP} beside {BULK_BESIDE} bulk flows"

TCP: Final = (
    *(_bulk_case(direction, streams) for streams in (1, 8) for direction in ("up", "down")),
    Case(
        _ping,
        (
            Reading(f"{_TRIP}, p50", "µs", _item("p50_us"), Limit(1.2)),
            Reading(f"{_TRIP}, p99", "µs", _item("p99_us")),
            Reading(f"{_TRIP}, p99.9", "µs", _item("p999_us")),
        ),
    ),
    Case(
        _ping_beside,
        (
            Reading(f"{_BESIDE}, p50", "µs", _item("p50_us")),
            Reading(f"{_BESIDE}, p99", "µs", _item("p99_us"), Limit(2.0, f"{_TRIP}, p99")),
            Reading(f"{_BESIDE}, p99.9", "µs", _item("p999_us")),
        ),
    ),
    *(_connect_case(index, "") for index in range(len(WIDTHS))),
    Case(
        _http,
        (Reading(f"HTTP requests, {HTTP_WIDTH} kept open", "1/s", _item("rate")),),
        is_needed=False,
    ),
)
UDP: Final = (
    Case(
        _udp_ping,
        (
            Reading("UDP 64 B round trip, p50", "µs", _item("p50_us"), Limit(1.25)),
            Reading("UDP 64 B round trip, p99", "µs", _item("p99_us")),
        ),
    ),
    *(_flood_case(size, 1) for size in SIZES),
    _flood_case(*MIXED),
)
HOST: Final = tuple(_connect_case(index, "machine to desktop: ") for index in range(len(WIDTHS)))
