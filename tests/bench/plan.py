"""How often and how long: the sizes of the measures, for a whole run and a quick one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["QUICK", "WHOLE", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the measures.

    Attributes:
        appear_rounds: times that a listener comes and goes.
        appear_pause: shortest and longest seconds between two of them.
        rounds: pairs of a round through the mirror and one past it.
        bulk_seconds: of sending, per round.
        ping_seconds: of round trips, per round.
        connections: per round, one at a time and many at once.
        digest_bytes: sent and checked each way.
        rest_seconds: over which CPU at rest is measured.
    """

    appear_rounds: int
    appear_pause: tuple[float, float]
    rounds: int
    bulk_seconds: float
    ping_seconds: float
    connections: tuple[int, int]
    digest_bytes: int
    rest_seconds: float


WHOLE: Final = Plan(
    appear_rounds=100,
    appear_pause=(0.05, 1.5),
    rounds=5,
    bulk_seconds=0.5,
    ping_seconds=0.4,
    connections=(1000, 2000),
    digest_bytes=1 << 30,
    rest_seconds=20,
)
"""Connections are few enough for the ports that a client has (28 232 per minute and target by
default: ip_local_port_range and TIME_WAIT, ip(7), tcp(7))."""

QUICK: Final = Plan(
    appear_rounds=15,
    appear_pause=(0.05, 0.5),
    rounds=2,
    bulk_seconds=0.3,
    ping_seconds=0.2,
    connections=(500, 1000),
    digest_bytes=1 << 27,
    rest_seconds=5,
)
