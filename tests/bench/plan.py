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
        lasting_connections: many at once, in one go; 0 for none.
        digest_bytes: sent and checked each way.
        rest_seconds: over which CPU at rest is measured.
        udp_rounds: rounds of UDP, each of which goes all ways.
        udp_seconds: of sending datagrams, per flood.
        udp_searches: searches for the highest rate that is carried.
        udp_resolution: a rate that is not carried over one that is, at which a search ends.
        udp_sources: clients that send a datagram each.
    """

    appear_rounds: int
    appear_pause: tuple[float, float]
    rounds: int
    bulk_seconds: float
    ping_seconds: float
    connections: tuple[int, int]
    lasting_connections: int
    digest_bytes: int
    rest_seconds: float
    udp_rounds: int
    udp_seconds: float
    udp_searches: int
    udp_resolution: float
    udp_sources: int


WHOLE: Final = Plan(
    appear_rounds=100,
    appear_pause=(0.05, 1.5),
    rounds=5,
    bulk_seconds=0.5,
    ping_seconds=0.4,
    connections=(700, 1200),
    lasting_connections=30_000,
    digest_bytes=1 << 30,
    rest_seconds=20,
    udp_rounds=3,
    udp_seconds=0.35,
    udp_searches=2,
    udp_resolution=1.1,
    udp_sources=100_000,
)
"""A client has 28 232 ports per minute and target by default, half of which are found fast
(ip_local_port_range in ip(7), TIME_WAIT in tcp(7)): the connections per round are few enough for
that, so that it is not the client that is measured. The lasting ones are more on purpose: they go
to loopback, where ports are free again after a second, but the link has such a limit, too."""

QUICK: Final = Plan(
    appear_rounds=15,
    appear_pause=(0.05, 0.5),
    rounds=2,
    bulk_seconds=0.3,
    ping_seconds=0.2,
    connections=(500, 1000),
    lasting_connections=0,
    digest_bytes=1 << 27,
    rest_seconds=5,
    udp_rounds=1,
    udp_seconds=0.2,
    udp_searches=1,
    udp_resolution=1.25,
    udp_sources=20_000,
)
