"""UDP: round trips and floods, through the mirror, past it, and through docker-proxy.

Rules: a round goes all ways one after the other. A flood's rate is that of the datagrams that
arrived, over the time until the last of them did, so that what only waits in a buffer counts for
nothing. Where a rate is offered it is OVER times what docker-proxy carried of a flood without
limit just before: all ways are offered the same, and their losses compare.

Counterparts: `datagrams.c` sends and judges, `carried.py` looks for the highest rate without loss.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from tests.bench.figures import Figure, Requirement
from tests.bench.load import Load
from tests.bench.peers import ADDRESS, DOCKER_PROXY, started
from tests.bench.plan import Plan
from tests.bench.stage import Stage

__all__ = [
    "MIXED",
    "SIZES",
    "Ways",
    "arrival_rate",
    "loss",
    "measure_udp",
    "measure_udp_host",
    "to_container",
]

SIZES: Final = (64, 512, 1400)
"""Bytes: the least that programs send, the longest DNS answer without extension (RFC 1035), and
about what fits Ethernet."""
HOST_SIZES: Final = (64, 1400)
MIXED: Final = (200, 64)
"""Bytes and flows, each of which sends one datagram in turn."""
OVER: Final = 1.25
HOST_RATE: Final = 80_000
"""Datagrams per second, for the rate offered where there is no docker-proxy."""
FAULTS: Final = ("wrong", "doubled", "crossed")

Answers = list[dict[str, Any]]
"""What the load program says of each round."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a client sends to, and the server's socket for orders as that client sees it."""

    address: str
    port: int
    orders: str


class Ways:
    """The ways to one server: the mirror first, then direct, then docker-proxy if there is one."""

    def __init__(self, load: Load, ways: Sequence[_Way], title: str) -> None:
        self._load = load
        self._ways = ways
        self._title = title
        self._faults = [0] * len(ways)
        self._disordered = [0] * len(ways)

    def flood(self, index: int, *arguments: object) -> dict[str, Any]:
        """One flood; `arguments` are those from the direction on."""
        way = self._ways[index]
        answer = self._load.run("udp-flood", way.address, way.port, way.orders, *arguments)
        self._faults[index] += sum(answer[fault] for fault in FAULTS)
        self._disordered[index] += answer["disordered"]
        return answer

    def floods(self, *arguments: object) -> Answers:
        """The same flood by each way."""
        return [self.flood(index, *arguments) for index in range(len(self._ways))]

    def pings(self, seconds: float) -> Answers:
        """Round trips by each way."""
        return [self._load.run("udp-ping", way.address, way.port, seconds) for way in self._ways]

    def figure(
        self,
        name: str,
        unit: str,
        rounds: Sequence[Answers],
        value: Callable[[dict[str, Any]], float],
        *,
        has_ratios: bool = True,
    ) -> Figure:
        """What the rounds' answers come to."""
        columns = [tuple(map(value, answers)) for answers in zip(*rounds, strict=True)]
        return self._figure(name, unit, columns, has_ratios=has_ratios)

    def faults(self) -> list[Figure]:
        """What became of datagrams that arrived in all floods so far."""
        none = Requirement("none", not self._faults[0])
        columns = (
            [(float(count),) for count in counts] for counts in (self._faults, self._disordered)
        )
        names = ("datagrams wrong, doubled or another flow's", "datagrams out of order")
        return [
            self._figure(name, "", counts, has_ratios=False, required=required)
            for name, counts, required in zip(names, columns, (none, None), strict=True)
        ]

    def _figure(
        self,
        name: str,
        unit: str,
        columns: Sequence[tuple[float, ...]],
        *,
        has_ratios: bool,
        required: Requirement | None = None,
    ) -> Figure:
        mirror, direct, proxy = columns if len(columns) == 3 else (*columns, ())
        name = f"{self._title} {name}"
        return Figure(name, unit, mirror, direct, required, proxy, has_ratios)


def arrival_rate(answer: dict[str, Any]) -> float:
    """Datagrams per second of a flood that arrived."""
    return float(answer["received"] / max(answer["seconds_to_arrive"], answer["seconds"]))


def loss(answer: dict[str, Any]) -> float:
    """Per cent of a flood that did not arrive."""
    return float(100 - 100 * answer["received"] / answer["sent"])


def measure_udp(stage: Stage, plan: Plan) -> list[Figure]:
    """From the desktop to a server in the container."""
    with to_container(stage) as ways:
        figures = _ping(ways, plan)
        for size in SIZES:
            figures += _one_flow(ways, plan, size)
        size, flows = MIXED
        figures += _flood(ways, plan, f"up, {size} B, {flows} flows mixed", "up", size, flows)
        return figures + ways.faults()


def measure_udp_host(stage: Stage, plan: Plan) -> list[Figure]:
    """From the container to a server on the desktop."""
    mirrored, direct = stage.serve_datagrams_on_desktop()
    addresses = ("127.0.0.1", stage.addresses[1])
    servers = zip(addresses, (mirrored, direct), strict=True)
    places = [_Way(address, server.port, server.orders_in_container) for address, server in servers]
    ways = Ways(stage.load_in_container, places, "host's UDP")
    figures = _ping(ways, plan)
    for size in HOST_SIZES:
        figures += _flood(ways, plan, f"up, {size} B", "up", size)
        at = f"up, {size} B, {HOST_RATE}/s offered"
        figures += _flood(ways, plan, at, "up", size, rate=HOST_RATE)
    return figures + ways.faults()


@contextlib.contextmanager
def to_container(stage: Stage) -> Iterator[Ways]:
    """The three ways to a new server in the container. Raises SamehostError."""
    server = stage.serve_datagrams_in_container()
    route = stage.route(DOCKER_PROXY.name, server.port, server.port)
    places = (("127.0.0.1", server.port), (route.server, server.port), (ADDRESS, route.port))
    with started(DOCKER_PROXY, route):
        yield Ways(stage.load, [_Way(*place, str(server.orders)) for place in places], "UDP")


def _ping(ways: Ways, plan: Plan) -> list[Figure]:
    rounds = [ways.pings(plan.ping_seconds) for _ in range(plan.udp_rounds)]
    return [
        ways.figure("64 B round trip, p50", "µs", rounds, itemgetter("p50_us")),
        ways.figure("64 B round trip, p99", "µs", rounds, itemgetter("p99_us")),
        ways.figure("round trips without answer", "", rounds, itemgetter("late"), has_ratios=False),
    ]


def _one_flow(ways: Ways, plan: Plan, size: int) -> list[Figure]:
    unlimited, offered, down = [], [], []
    for _ in range(plan.udp_rounds):
        unlimited.append(ways.floods("up", size, 1, 0, plan.udp_seconds))
        rate = OVER * arrival_rate(unlimited[-1][-1])
        offered.append(ways.floods("up", size, 1, rate, plan.udp_seconds))
        down.append(ways.floods("down", size, 1, 0, plan.udp_seconds))
    return [
        *_figures(ways, f"up, {size} B", unlimited),
        *_figures(ways, f"up, {size} B, {OVER} of docker-proxy's offered", offered),
        *_figures(ways, f"down, {size} B", down),
    ]


def _flood(
    ways: Ways,
    plan: Plan,
    name: str,
    direction: str,
    size: int,
    flows: int = 1,
    rate: float = 0,
) -> list[Figure]:
    rounds = [
        ways.floods(direction, size, flows, rate, plan.udp_seconds) for _ in range(plan.udp_rounds)
    ]
    return _figures(ways, name, rounds)


def _figures(ways: Ways, name: str, rounds: Sequence[Answers]) -> list[Figure]:
    return [
        ways.figure(name, "1/s", rounds, arrival_rate),
        ways.figure(f"{name}, lost", "%", rounds, loss, has_ratios=False),
    ]
