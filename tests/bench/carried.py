"""The highest rate of datagrams that is carried with next to no loss, ours and docker-proxy's.

Rules: a rate is carried if at least 1 - MOST_LOSS of what it makes arrives, hardly later than it
was to be sent; a sender that is starved by what carries fails it as well. A rate that is not
carried gets a second try, since other load on the computer may have been it. Both searches take
turns. Counterpart: `datagrams.py`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from desktop.errors import SamehostError
from tests.bench.datagrams import Ways, arrival_rate, to_container
from tests.bench.figures import Figure, Requirement, ratio
from tests.bench.plan import Plan
from tests.bench.stage import Stage

__all__ = ["measure_udp_carried"]

SIZES: Final = (64, 1400)
MOST_LOSS: Final = 0.01
MOST_DELAY: Final = 0.05
"""Of the last arrival, in times of sending: what only waits in buffers is not carried."""
TRIES: Final = 2
PROBES: Final = 10
STEP: Final = 1.4
"""From one rate to the next while all, or none, are carried."""
REQUIRED_RATIO: Final = 1.5
MIRROR: Final = 0
PROXY: Final = 2
"""Of the ways that `to_container` gives."""


def measure_udp_carried(stage: Stage, plan: Plan) -> list[Figure]:
    """One flow up, in datagrams per second."""
    with to_container(stage) as ways:
        return [_carried(ways, plan, size) for size in SIZES]


def _carried(ways: Ways, plan: Plan, size: int) -> Figure:
    pairs = [_search_both(ways, plan, size) for _ in range(plan.udp_searches)]
    mirror, proxy = (tuple(pair[index] for pair in pairs) for index in (0, 1))
    return Figure(
        f"UDP up, {size} B, highest rate with at most {MOST_LOSS:.0%} lost",
        "1/s",
        mirror,
        required=Requirement(
            f"at least {REQUIRED_RATIO} of docker-proxy", ratio(mirror, proxy) >= REQUIRED_RATIO
        ),
        proxy=proxy,
    )


def _search_both(ways: Ways, plan: Plan, size: int) -> tuple[float, float]:
    """Ours and docker-proxy's. Raises SamehostError if one carries nothing at all."""
    found: dict[int, float] = {}
    searches = {}
    for index in (MIRROR, PROXY):
        answer = ways.flood(index, "up", size, 1, 0, plan.udp_seconds)
        searches[index] = _search(arrival_rate(answer), plan.udp_resolution)
    rates = {index: next(search) for index, search in searches.items()}
    while len(found) < len(searches):
        for index in searches.keys() - found:
            try:
                is_carried = _is_carried(ways, plan, size, index, rates[index])
                rates[index] = searches[index].send(is_carried)
            except StopIteration as end:
                found[index] = end.value
    if not all(found.values()):
        raise SamehostError("a flood of UDP is not carried at any rate", "is the computer busy?")
    return found[MIRROR], found[PROXY]


def _search(start: float, resolution: float) -> Generator[float, bool, float]:
    """Asks whether rates are carried; the highest that is, 0 if none was."""
    low, high, rate = 0.0, 0.0, start
    for _ in range(PROBES):
        if (yield rate):
            low = rate
        else:
            high = rate
        if low and high:
            if high <= low * resolution:
                break
            rate = (low * high) ** 0.5
        else:
            rate = low * STEP if low else high / STEP
    return low


def _is_carried(ways: Ways, plan: Plan, size: int, index: int, rate: float) -> bool:
    for _ in range(TRIES):
        answer = ways.flood(index, "up", size, 1, rate, plan.udp_seconds)
        is_complete = answer["received"] >= rate * plan.udp_seconds * (1 - MOST_LOSS)
        if is_complete and answer["seconds_to_arrive"] <= plan.udp_seconds * (1 + MOST_DELAY):
            return True
    return False
