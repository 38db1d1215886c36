"""Every transport beside plain `ssh -L` and the direct way, case by case, in one run.

    unix, tcp, stdio     client ─▶ mirror ─▶ daemon ══ stream ══▶ agent ─▶ server in the container
    openssh, paramiko    the same through an sshd in the machine (`ssh.py`)
    ssh -L               client ─▶ ssh ══▶ sshd ─▶ server in the container
    direct               client ─▶ server in the container

Rules: our ways have the names by which `samehost status` calls their transports, and it is made
sure that their streams go so. Each has a Samehost of its own. Those by unix, openssh and paramiko
share a machine with all that is no way of ours; those by tcp and stdio have one each, which differs
in nothing else.

In a round every way is measured, one right after the other; none may fail. CPU is that of daemon
and agent, of ssh, and of the one sshd with all that it runs, of which only the way that is measured
has work. What is required is required beside `ssh -L` as it is by itself; with the cipher that we
choose it is another way. A round trip over SSH has the same way as that of `ssh -L` and two hops of
ours besides, so nothing is required of it.

Counterparts: `contest.py`, `ssh.py`, `tests/integration/{tcp,stdio}_daemon.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from desktop.api.client import ApiClient
from desktop.errors import SamehostError
from desktop.machines.openssh.client import FAST_CIPHER
from desktop.paths import Paths
from tests.bench.cases import TCP, Case, Reading, Way
from tests.bench.chart import DIRECT
from tests.bench.contest import compare, cpu_of
from tests.bench.figures import Figure, Requirement, ratio
from tests.bench.others import Quiet
from tests.bench.plan import Plan
from tests.bench.ssh import LoggedIn, plain_forward, server_in
from tests.bench.stage import Stage, another_stage

__all__ = ["CASES", "PLAIN", "judged", "measure_transports"]

UNIX: Final = "unix"
"""The sandbox's own."""
DAEMONS: Final = {
    "tcp": "tests.integration.tcp_daemon",
    "stdio": "tests.integration.stdio_daemon",
}
"""Those whose sandboxes have another."""
OPENSSH: Final = "openssh"
OVER_SSH: Final = (OPENSSH, "paramiko")
PLAIN: Final = "ssh -L"
FORWARDS: Final = {
    PLAIN: (),
    f"{PLAIN}, {FAST_CIPHER.partition('@')[0]}": ("-c", FAST_CIPHER),
}
"""What is no way of ours, and its options."""

TITLE: Final = "transports: "
"""So that figures' names are other ones than those of the comparison with peers."""
ATTACH: Final = f"{TITLE}samehost up to first mirror"
THROUGHPUT: Final = f"{TITLE}TCP throughput"
LEAST_RATIO: Final = 0.9
"""Of the throughput of PLAIN, by OPENSSH."""
MOST_ATTACH_SECONDS: Final = 2.0

CASES: Final = tuple(
    replace(
        case,
        readings=tuple(
            replace(reading, name=TITLE + reading.name, limit=None) for reading in case.readings
        ),
    )
    for case in TCP
    if case.is_needed
)
"""Those of the comparison with peers, with nothing required beside docker-proxy."""


def measure_transports(stage: Stage, plan: Plan) -> list[Figure]:
    """How long attaching takes over SSH; TCP from the desktop to a server in the container."""
    _make_sure(UNIX, stage.paths)
    with contextlib.ExitStack() as stack:
        stages = {
            name: stack.enter_context(another_stage(stage, name, daemon))
            for name, daemon in DAEMONS.items()
        }
        for name, other in stages.items():
            _make_sure(name, other.paths)
        server = stack.enter_context(server_in(stage))
        ways = [_ours(name, other) for name, other in {UNIX: stage, **stages}.items()]
        ways.append(Way(DIRECT, stage.load, stage.addresses[0], stage.serve_in_container()))
        ways += [
            stack.enter_context(plain_forward(stage, server, name, options))
            for name, options in FORWARDS.items()
        ]
        logged_in = {
            name: stack.enter_context(LoggedIn(stage, server, name, has_client=name == OPENSSH))
            for name in OVER_SSH
        }
        quiet = Quiet.on(stage, lambda: _pids((*stages.values(), *logged_in.values())))
        over_ssh = [each.way for each in logged_in.values()]
        figures = compare(over_ssh, [_attaching(logged_in)], plan, plan.starts, quiet, OVER_SSH)
        needed = [way.name for way in (*ways, *over_ssh)]
        figures += compare([*ways, *over_ssh], CASES, plan, plan.peer_rounds, quiet, needed)
    return list(judged(figures))


def _ours(name: str, stage: Stage) -> Way:
    port = stage.serve_in_container()
    return Way(name, stage.load, "127.0.0.1", port, cpu_of(lambda: stage.pids))


def _pids(samehosts: Iterable[Stage | LoggedIn]) -> list[int]:
    return [pid for samehost in samehosts for pid in samehost.pids]


def _attaching(logged_in: Mapping[str, LoggedIn]) -> Case:
    """From no daemon, again and again; they are up afterwards."""

    def attach(way: Way, _plan: Plan) -> dict[str, float]:
        samehost = logged_in[way.name]
        seconds = samehost.start()
        _make_sure(way.name, samehost.paths)
        return {"seconds": seconds}

    return Case(attach, (Reading(ATTACH, "s", lambda answer: float(answer["seconds"])),))


def _make_sure(name: str, paths: Paths) -> None:
    """That streams go this way. Raises SamehostError."""
    with ApiClient.connect(paths.api_socket) as client:
        transport = str(client.call("status")["machine"]["transport"])
    if transport.split()[:1] != [name]:
        raise SamehostError(f"streams go by {transport}, not by {name}", "see: samehost logs")


def judged(figures: Iterable[Figure]) -> Iterator[Figure]:
    """The same, with what is required and whether it is met."""
    figures = list(figures)
    plain = {figure.name: figure for figure in figures if figure.way == PLAIN}
    for figure in figures:
        if figure.name == ATTACH:
            figure = figure.requiring(_attach_requirement(figure))
        elif figure.name.startswith(THROUGHPUT) and figure.way == OPENSSH:
            figure = figure.requiring(_requirement(figure, plain[figure.name]))
        yield figure


def _attach_requirement(figure: Figure) -> Requirement:
    return Requirement(f"under {MOST_ATTACH_SECONDS:g} s", figure.median < MOST_ATTACH_SECONDS)


def _requirement(figure: Figure, plain: Figure) -> Requirement:
    of_plain = ratio(figure.values, plain.values)
    text = f"at least {LEAST_RATIO:g} of {PLAIN}, is {of_plain:.2f}"
    return Requirement(text, of_plain >= LEAST_RATIO)
