"""How often and how long: the sizes of the measures, for a whole run and a quick one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["QUICK", "WHOLE", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the measures.

    Attributes:
        listeners: that come and go, per tier of detection and protocol.
        brief_listeners: that live some milliseconds.
        standing_listeners: that stand while it is measured what they cost.
        settle_seconds: of quiet before detection is measured at rest.
        tier_rest_seconds: over which that is.
        storm_seconds: of a storm of binds.
        scans: of sockets that were all seen before, per number of sockets.
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
        peer_rounds: rounds of the comparison with peers.
        idle_flows: that are open while their memory is measured.
        starts: of daemon and agent.
        window_starts: of the window.
        window_changes: that are waited for on its screen.
        window_rounds: over which its CPU is measured, of window_seconds each.
    """

    listeners: int
    brief_listeners: int
    standing_listeners: int
    settle_seconds: float
    tier_rest_seconds: float
    storm_seconds: float
    scans: int
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
    peer_rounds: int
    idle_flows: tuple[int, ...]
    starts: int
    window_starts: int
    window_changes: int
    window_rounds: int
    window_seconds: float


WHOLE: Final = Plan(
    listeners=2000,
    brief_listeners=10_000,
    standing_listeners=10_000,
    settle_seconds=11,
    tier_rest_seconds=10,
    storm_seconds=10,
    scans=100,
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
    peer_rounds=5,
    idle_flows=(1000, 10_000),
    starts=5,
    window_starts=9,
    window_changes=100,
    window_rounds=3,
    window_seconds=5,
)
"""A client has 28 232 ports per minute and target by default, half of which are found fast
(ip_local_port_range in ip(7), TIME_WAIT in tcp(7)): the connections per round are few enough for
that, so that it is not the client that is measured. The lasting ones are more on purpose: they go
to loopback, where ports are free again after a second, but the link has such a limit, too."""

QUICK: Final = Plan(
    listeners=100,
    brief_listeners=1000,
    standing_listeners=1000,
    settle_seconds=11,
    tier_rest_seconds=4,
    storm_seconds=3,
    scans=20,
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
    peer_rounds=1,
    idle_flows=(1000,),
    starts=2,
    window_starts=3,
    window_changes=25,
    window_rounds=2,
    window_seconds=3,
)
