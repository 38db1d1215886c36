"""Our way beside the direct one and those of the peers, case by case, in one run.

Rules: in a round every case is measured by all ways, one right after the other; each round begins
with another way. Ratios are of the same round. Other load on the computer is looked for, and what
it disturbed is measured again (`others.py`). A peer that fails a case twice in a row is left out of
it and named; such a failure of ours, of direct or of docker-proxy ends the bench. Every way has a
TCP server of its own, so that none runs out of ports for connections because of another.

CPU is that of daemon and agent, and of the peers' processes with their children; direct has none.
A peer whose children end unwatched tells none.

Counterparts: `cases.py`, `peers.py`, `others.py`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from tests.bench.cases import CPU, HOST, TCP, UDP, Answer, Case, Limit, Reading, Way
from tests.bench.chart import DIRECT, OURS, RATES
from tests.bench.figures import Figure, Requirement, ratio
from tests.bench.load import READY_SECONDS
from tests.bench.others import Quiet, tree_seconds
from tests.bench.peers import DOCKER_PROXY, PEERS, REMEDY, Peer, started
from tests.bench.plan import Plan
from tests.bench.stage import DatagramServer, Stage, say

__all__ = ["compare", "cpu_of", "judged", "measure_compared", "measure_compared_host"]

NEEDED: Final = (OURS, DIRECT, DOCKER_PROXY.name)
TRIES: Final = 2
"""Of a measurement that fails."""
POLL_SECONDS: Final = 0.05

Rounds = dict[str, list[Answer]]
"""What each way that failed in none said of all rounds."""


def measure_compared(stage: Stage, plan: Plan) -> list[Figure]:
    """From the desktop to a server in the container, TCP and UDP."""
    quiet = Quiet.on(stage)
    with contextlib.ExitStack() as stack:
        server = stage.serve_datagrams_in_container()
        ways = [_ours(stage, server), _direct(stage, server)]
        ways += [way for peer in _installed() for way in _through(stage, stack, peer, server)]
        figures = compare(ways, TCP, plan, plan.peer_rounds, quiet)
        carrying_udp = [way for way in ways if way.orders is not None]
        figures += compare(carrying_udp, UDP, plan, plan.peer_rounds, quiet)
    return figures + _disturbances("to the machine", quiet)


def measure_compared_host(stage: Stage, plan: Plan) -> list[Figure]:
    """From the container to a server on the desktop; of peers docker-proxy only, in the machine."""
    quiet = Quiet.on(stage)
    mirrored, direct = stage.serve_on_desktop()
    _, behind = stage.serve_on_desktop()
    desktop, (_, agent), load = stage.addresses[1], stage.pids, stage.load_in_container
    here = stage.route(f"{DOCKER_PROXY.name} in the machine", behind, behind)
    route = replace(here, server=desktop)
    within = ("nsenter", f"--net=/proc/{agent}/ns/net")
    with started(DOCKER_PROXY, route, within) as running:
        ways = [
            Way(OURS, load, "127.0.0.1", mirrored),
            Way(DIRECT, load, desktop, direct),
            Way(running.peer.name, load, running.address, running.port),
        ]
        _await_connections(ways[-1])
        figures = compare(ways, HOST, plan, plan.peer_rounds, quiet)
    return figures + _disturbances("to the desktop", quiet)


def compare(
    ways: Sequence[Way],
    cases: Sequence[Case],
    plan: Plan,
    rounds: int,
    quiet: Quiet,
    needed: Collection[str] = NEEDED,
) -> list[Figure]:
    """All figures of the cases, each reading's one after the other, ours first.

    Raises SamehostError if a `needed` way fails a case.
    """
    said: list[Rounds] = [{way.name: [] for way in ways} for _ in cases]
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}, {len(cases)} cases by {len(ways)} ways")
        for case, answers in zip(cases, said, strict=True):
            for way in [*ways[number % len(ways) :], *ways[: number % len(ways)]]:
                _add(answers, way, case, plan, quiet, needed)
    figures: list[Figure] = []
    for case, answers in zip(cases, said, strict=True):
        for reading in case.readings:
            figures += _figures(reading, answers)
    return judged(figures, {reading.name: reading for case in cases for reading in case.readings})


def _add(
    answers: Rounds, way: Way, case: Case, plan: Plan, quiet: Quiet, needed: Collection[str]
) -> None:
    if way.name not in answers:
        return
    for attempt in range(TRIES):
        try:
            answers[way.name].append(quiet.measure(lambda: _timed(way, case, plan)))
            return
        except SamehostError as error:
            failure = f"{way.name}, {case.readings[0].name}: {error.message}"
            say(f"failed, attempt {attempt + 1} of {TRIES}: {failure}")
            if attempt + 1 == TRIES and way.name in needed and case.is_needed:
                raise SamehostError(failure, error.remedy) from error
    say(f"left out: {way.name}, {case.readings[0].name}")
    del answers[way.name]


def _timed(way: Way, case: Case, plan: Plan) -> Answer:
    if way.cpu_seconds is None:
        return case.run(way, plan)
    before = way.cpu_seconds()
    answer = case.run(way, plan)
    return {**answer, "cpu_seconds": way.cpu_seconds() - before}


def _figures(reading: Reading, answers: Rounds) -> Iterator[Figure]:
    columns = {
        name: tuple(map(reading.value, said))
        for name, said in answers.items()
        if reading.unit != CPU or all("cpu_seconds" in answer for answer in said)
    }
    direct, proxy = columns.get(DIRECT, ()), columns.get(DOCKER_PROXY.name, ())
    for name, values in columns.items():
        yield Figure(
            *(reading.name, reading.unit, values),
            direct=() if name == DIRECT else direct,
            proxy=() if name == DOCKER_PROXY.name else proxy,
            has_ratios=reading.has_ratios,
            way=name,
        )


def judged(figures: Sequence[Figure], readings: dict[str, Reading]) -> list[Figure]:
    """The same, with what is required of ours and whether it is met."""
    ours = {figure.name: figure for figure in figures if figure.way == OURS}
    return [
        figure.requiring(_requirement(figure, limit, ours))
        if figure.way == OURS and (limit := readings[figure.name].limit)
        else figure
        for figure in figures
    ]


def _requirement(figure: Figure, limit: Limit, ours: dict[str, Figure]) -> Requirement | None:
    other = ours[limit.reading].values if limit.reading else figure.proxy
    if not other or not all(other):
        return None
    of_other = ratio(figure.values, other)
    is_rate = figure.unit in RATES
    text = f"at {'least' if is_rate else 'most'} {limit.times:g} of "
    text += f"{limit.reading} alone" if limit.reading else DOCKER_PROXY.name
    return Requirement(text, of_other >= limit.times if is_rate else of_other <= limit.times)


def _installed() -> list[Peer]:
    """The peers that can be had; the others are named."""
    for peer in PEERS:
        if missing := peer.missing():
            say(f"left out: {peer.name}, which needs {' '.join(missing)}: {REMEDY}")
    return [peer for peer in PEERS if not peer.missing()]


def _ours(stage: Stage, server: DatagramServer) -> Way:
    """Both protocols' mirrors have to have one port: a TCP server is opened beside the UDP one."""
    port = stage.serve_in_container(server.port)
    cpu = cpu_of(lambda: stage.pids)
    return Way(OURS, stage.load, "127.0.0.1", port, cpu, server.orders)


def _direct(stage: Stage, server: DatagramServer) -> Way:
    return Way(DIRECT, stage.load, stage.addresses[0], server.port, orders=server.orders)


def _through(
    stage: Stage, stack: contextlib.ExitStack, peer: Peer, server: DatagramServer
) -> Iterator[Way]:
    """The way of a peer that runs until the stack is closed; none if it cannot be started."""
    route = stage.route(peer.name, stage.serve_in_container(), server.port)
    try:
        running = stack.enter_context(started(peer, route))
    except SamehostError as error:
        if peer.name in NEEDED:
            raise
        say(f"left out: {error.message} {error.remedy}")
        return
    orders: Path | None = route.orders if peer.is_own_namespace else server.orders
    cpu = cpu_of(lambda: running.pids) if peer.tells_cpu else None
    place = running.address, running.port
    yield Way(peer.name, stage.load, *place, cpu, orders if peer.has_udp else None)


def cpu_of(pids: Callable[[], Sequence[int]]) -> Callable[[], float]:
    """CPU seconds so far of these and all their descendants, without the load program's."""
    return lambda: tree_seconds(pids(), "load")


def _await_connections(way: Way) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while way.load.attempt("connect", way.address, way.port, 1, 1)["failures"]:
        if time.monotonic() > deadline:
            raise SamehostError(f"{way.name} does not listen in the machine", "try again")
        time.sleep(POLL_SECONDS)


def _disturbances(title: str, quiet: Quiet) -> list[Figure]:
    counts = {"repeated": quiet.thrown, "counted all the same": quiet.kept}
    return [
        Figure(f"{title}: disturbed by other load, {name}", f"of {quiet.measured}", (float(count),))
        for name, count in counts.items()
    ]
