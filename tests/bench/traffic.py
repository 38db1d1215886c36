"""Throughput, round trips and connection rates, through the mirror and past it.

Rules: a round through the mirror is followed at once by the same round past it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.figures import Figure, Requirement, ratio
from tests.bench.load import Load
from tests.bench.plan import Plan
from tests.bench.stage import Stage

__all__ = ["WIDTHS", "measure_bulk", "measure_connect", "measure_host", "measure_ping"]

REQUIRED_RATIO: Final = 0.5
WIDTHS: Final = (1, 16)
"""Connections at once."""

Way = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Path:
    """A client and its two ways to one server."""

    load: Load
    mirror: Way
    direct: Way
    title: str

    def rounds(self, plan: Plan, *arguments: object) -> tuple[list[Any], list[Any]]:
        """What the load program says, through the mirror and past it."""
        command, *rest = arguments
        pairs = [
            [self.load.run(command, *way, *rest) for way in (self.mirror, self.direct)]
            for _ in range(plan.rounds)
        ]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def measure_bulk(stage: Stage, plan: Plan) -> list[Figure]:
    """Throughput to a server in the container."""
    path = _to_container(stage)
    return [
        _bulk(path, plan, direction, streams) for streams in (1, 8) for direction in ("up", "down")
    ]


def measure_ping(stage: Stage, plan: Plan) -> list[Figure]:
    """Round trips to a server in the container."""
    return _ping(_to_container(stage), plan)


def measure_connect(stage: Stage, plan: Plan) -> list[Figure]:
    """Connections per second to a server in the container."""
    path = _to_container(stage)
    return [_connect(path, plan, index) for index in range(len(WIDTHS))]


def measure_host(stage: Stage, plan: Plan) -> list[Figure]:
    """All three from the container to a server on the desktop; throughput of one stream."""
    mirrored, direct = stage.serve_on_desktop()
    host = stage.addresses[1]
    path = _Path(
        stage.load_in_container, ("127.0.0.1", mirrored), (host, direct), "host's server, "
    )
    bulk = [_bulk(path, plan, direction, 1) for direction in ("up", "down")]
    connect = [_connect(path, plan, index) for index in range(len(WIDTHS))]
    return [*bulk, *_ping(path, plan), *connect]


def _to_container(stage: Stage) -> _Path:
    port = stage.serve_in_container()
    return _Path(stage.load, ("127.0.0.1", port), (stage.addresses[0], port), "")


def _bulk(path: _Path, plan: Plan, direction: str, streams: int) -> Figure:
    name = f"{path.title}throughput {direction}, {streams} stream{'s' if streams > 1 else ''}"
    rounds = path.rounds(plan, "bulk", direction, streams, plan.bulk_seconds)
    values, direct = _both(rounds, lambda answer: answer["bytes"] * 8e-9 / answer["seconds"])
    required = None
    if streams == 1:
        is_met = ratio(values, direct) >= REQUIRED_RATIO
        required = Requirement(f"at least {REQUIRED_RATIO} of direct", is_met)
    return Figure(name, "Gbit/s", values, direct, required)


def _ping(path: _Path, plan: Plan) -> list[Figure]:
    rounds = path.rounds(plan, "ping", plan.ping_seconds)
    return [
        Figure(f"{path.title}64 B round trip, {name}", "µs", *_both(rounds, _item(key)))
        for name, key in (("p50", "p50_us"), ("p99", "p99_us"))
    ]


def _connect(path: _Path, plan: Plan, index: int) -> Figure:
    width = WIDTHS[index]
    name = "one at a time" if width == 1 else f"{width} at once"
    rounds = path.rounds(plan, "connect", plan.connections[index], width)
    values, direct = _both(rounds, lambda answer: answer["count"] / answer["seconds"])
    return Figure(f"{path.title}connections, {name}", "1/s", values, direct)


def _item(key: str) -> Callable[[dict[str, Any]], float]:
    return lambda answer: float(answer[key])


def _both(
    rounds: tuple[list[Any], list[Any]], value: Callable[[dict[str, Any]], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mirror, direct = rounds
    return tuple(map(value, mirror)), tuple(map(value, direct))
