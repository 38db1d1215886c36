"""How soon a container's listener is there on the desktop, and how soon it is gone, in each tier.

From the return of listen() (TCP) or bind() (UDP) to the return of a connect that succeeded, or to
the answer to a datagram; from the return of close() to a connect that was refused, or a datagram.
Both clocks are CLOCK_MONOTONIC of one kernel. Load program and container do all of it: no Python
is between an order and its effect.

Rules: the desktop tries again and again, and sleeps in between, since the cores belong to what is
measured. A try to come is a connect, or a datagram of a connected socket, that the kernel refuses:
neither daemon nor agent has any part in it. The one that succeeds ends at once with a reset. A try
that the mirror is gone is a bind of its port, since a connection would be work for those who are
to close it; only when that succeeds, a connect or datagram must be refused. A UDP server that a
client has spoken to gives its last words 10 ms (`vmagent.agent`); so the UDP servers that nobody
has spoken to are measured for themselves. In tiers that go by the clock WIDTH listeners of each
protocol open at once, in the phase of the clock that chance gives.

What disturbs is measured with it: rounds in which daemon and agent could have run but had no core
for more than DISTURBED_MS together (schedstat in proc(5)), or in which nobody tried for so long, or
the container's call took so long, are left out of the figures "undisturbed". Requirements are
judged by all rounds.

Limits: a figure is too high by up to a TRY_US, half of it on average, and what a try takes (10 µs).
It is too low, even below zero, if the container's program lost its core between the call's return
and its look at the clock. Listeners follow each other closely, so code and data of both ends are
still in the caches. In the lower tiers the last of the listeners that open at once is reached some
ms after the first, last words of the UDP servers among them hold up all that close, and polls that
have become slow after ten seconds without a change are not met.

Why TRY_US: tries without a pause let daemon and agent wait for a core, 1 ms in one round of ten
instead of 0.1; from 20 to 300 µs the medians were alike, and 1 ms added its half.

Counterparts: `come_and_go` in `detection.c`, `keeper` in `listeners.c`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from tests.bench.figures import FEW, Figure, Requirement, percentile
from tests.bench.plan import Plan
from tests.bench.stage import Stage
from tests.bench.tiers import BEST, TIERS, Tier

__all__ = ["measure_appear"]

WIDTH: Final = 20
PORTS: Final = 4 * WIDTH
"""In turn, so that no port opens anew before its end is long past."""
UNASKED_SHARE: Final = 4
"""One in so many rounds of UDP is of servers that nobody has spoken to."""

TRY_US: Final = {True: 50, False: 500}
PAUSE_MS: Final = {True: 8, False: 300}
"""Between two tries, and the longest before a listener opens or closes: in tier 1, in the others.
There it is from a moment after a change, when polls are dense, until long after they are not."""

REQUIRED_MS: Final = {True: 5.0, False: 150.0}
DISTURBED_MS: Final = 0.2
MOST_PER_RUN: Final = 500
"""Listeners: the load program gives up a run that takes too long."""


@dataclass(frozen=True, slots=True)
class Way:
    """All times of one direction, and those of rounds that nothing disturbed, in milliseconds."""

    all: tuple[float, ...]
    undisturbed: tuple[float, ...]

    def __add__(self, other: Way) -> Way:
        return Way(self.all + other.all, self.undisturbed + other.undisturbed)

    def figures(self, name: str, required_ms: float | None, *, is_split: bool) -> Iterator[Figure]:
        """What is shown of it."""
        met = required_ms is not None and percentile(self.all, 99) <= required_ms
        required = Requirement(f"p99 at most {required_ms:.0f} ms", met) if required_ms else None
        yield Figure(name, "ms", self.all, required=required)
        if is_split and len(self.undisturbed) >= FEW:
            yield Figure(f"{name}, undisturbed", "ms", self.undisturbed)


def measure_appear(stage: Stage, plan: Plan) -> list[Figure]:
    """Both times, in each tier, for TCP and UDP."""
    figures: list[Figure] = []
    for tier in TIERS:
        stage.use_tier(tier)
        figures += _of_binds(stage, plan) if tier.has_binds else _of_clock(stage, plan, tier)
    stage.use_tier(BEST)
    return figures


def _of_binds(stage: Stage, plan: Plan) -> list[Figure]:
    """One listener at a time, each protocol for itself."""
    required = REQUIRED_MS[True]
    figures: list[Figure] = []
    for kind in ("tcp", "udp", "udp-unasked"):
        is_unasked = kind == "udp-unasked"
        count = plan.listeners // UNASKED_SHARE if is_unasked else plan.listeners
        (come,), (go,) = _rounds(stage, kind, count, 1, is_fast=True)
        name = f"{BEST.name}: {kind[:3].upper()}"
        if not is_unasked:
            figures += come.figures(f"{name}, {_call(kind)} to reached", required, is_split=True)
        if kind == "udp":
            figures += go.figures(f"{name} with a client, close to refused", None, is_split=True)
        else:
            figures += go.figures(f"{name}, close to refused", required, is_split=True)
    return figures


def _of_clock(stage: Stage, plan: Plan, tier: Tier) -> list[Figure]:
    """Many at once."""
    comes, goes = _rounds(stage, "both", plan.listeners, WIDTH, is_fast=False)
    required = REQUIRED_MS[False]
    named = zip(("tcp", "udp"), comes, goes, strict=True)
    return [
        figure
        for kind, come, go in named
        for figure in chain(
            come.figures(
                f"{tier.name}: {kind.upper()}, {_call(kind)} to reached", required, is_split=False
            ),
            go.figures(f"{tier.name}: {kind.upper()}, close to refused", required, is_split=False),
        )
    ]


def _call(kind: str) -> str:
    return "listen" if kind == "tcp" else "bind"


def _rounds(
    stage: Stage, kind: str, listeners: int, width: int, *, is_fast: bool
) -> tuple[list[Way], list[Way]]:
    """How they came and how they went, for each protocol of `kind`."""
    kinds = 2 if kind == "both" else 1
    first = stage.block(PORTS).start
    comes, goes = [Way((), ())] * kinds, [Way((), ())] * kinds
    for start in range(0, listeners, MOST_PER_RUN):
        rounds = min(MOST_PER_RUN, listeners - start) // width
        answer = stage.load.run(
            *("come-and-go", stage.keeper, kind, "127.0.0.1", first, PORTS, rounds, width),
            *(PAUSE_MS[is_fast], TRY_US[is_fast], *stage.pids),
        )
        comes = [old + new for old, new in zip(comes, _ways(answer["come"], kinds), strict=True)]
        goes = [old + new for old, new in zip(goes, _ways(answer["go"], kinds), strict=True)]
    return comes, goes


def _ways(values: dict[str, Any], kinds: int) -> list[Way]:
    """One for each protocol, whose values alternate; `waited_us` has one for each round."""
    per_round = len(values["took_us"]) // len(values["waited_us"])
    ways = []
    for kind in range(kinds):
        times = [(index, us / 1e3) for index, us in enumerate(values["took_us"])][kind::kinds]
        quiet = (
            took
            for index, took in times
            if values["waited_us"][index // per_round] <= DISTURBED_MS * 1e3
            and values["slack_us"][index] <= DISTURBED_MS * 1e3
        )
        ways.append(Way(tuple(took for _, took in times), tuple(quiet)))
    return ways
