"""Over SSH: our way beside plain `ssh -L`, by one sshd in the machine; and how long `up` takes.

    client ─▶ mirror ─▶ daemon ─▶ ssh ══▶ sshd ─▶ agent ─▶ server in the container
    client ─▶ ssh -L ═════════════════▶ sshd ─────────▶ server in the container

Rules: a second Samehost with a folder of its own knows the machine only as a server to log in to;
since the first has the container's port already, its mirror has another (`remap`). In a round every
way is measured, one right after the other. What is required is required beside `ssh -L` as it is by
itself; with the cipher that we choose it is another way. A round trip has the same way as that of
`ssh -L` and two hops of ours besides, so nothing is required of it.

A start is `samehost up` with no daemon there, until a byte has come back through the mirror of a
server in the container that was there before.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import SamehostError
from desktop.machines.openssh.client import FAST_CIPHER
from desktop.paths import HOME_VARIABLE, Paths
from tests.bench.cases import TCP, Case, Way
from tests.bench.chart import DIRECT, OURS
from tests.bench.contest import compare
from tests.bench.figures import Figure, Requirement, ratio
from tests.bench.flows import await_so, echoes
from tests.bench.load import wait_for
from tests.bench.others import Quiet
from tests.bench.plan import Plan
from tests.bench.stage import Stage
from tests.integration.ssh_server import SshServer, ssh_server

__all__ = ["measure_ssh"]

PLAIN: Final = "ssh -L"
SAME_CIPHER: Final = f"{PLAIN}, {FAST_CIPHER.partition('@')[0]}"
LEAST_RATIO: Final = 0.9
"""Of the throughput of plain `ssh -L`."""
MOST_START_SECONDS: Final = 2.0
UP_SECONDS: Final = 60
REQUIRED: Final = "TCP throughput"
"""How those readings begin of which something is required."""
INTO_THE_MACHINE: Final = ("setpriv", "--pdeathsig", "KILL")


def measure_ssh(stage: Stage, plan: Plan) -> list[Figure]:
    """From the desktop to a server in the container, TCP."""
    port, front = stage.serve_in_container(), stage.port()
    inside = stage.command_in_machine(*INTO_THE_MACHINE)
    with ssh_server(stage.addresses[0], inside=inside) as server, contextlib.ExitStack() as stack:
        second = _Second(stage, server, port, front)
        starts = [second.start() for _ in range(plan.starts)]
        stack.callback(second.end)
        ways = [
            Way(OURS, stage.load, "127.0.0.1", front),
            Way(DIRECT, stage.load, stage.addresses[0], port),
            *(
                Way(
                    name,
                    stage.load,
                    "127.0.0.1",
                    stack.enter_context(_plain(stage, server, port, *options)),
                )
                for name, options in ((PLAIN, ()), (SAME_CIPHER, ("-c", FAST_CIPHER)))
            ),
        ]
        quiet = Quiet.on(stage, second.pids)
        figures = compare(ways, _cases(), plan, plan.peer_rounds, quiet)
    return [_start(starts), *_judged(figures)]


class _Second:
    """The Samehost that logs in."""

    def __init__(self, stage: Stage, server: SshServer, port: int, front: int) -> None:
        self._machine = server.name()
        self._front = front
        self._home = stage.folder / "over-ssh"
        self._home.mkdir()
        settings = {
            "hostNetworkingEnabled": True,
            "portBinding": "localhost",
            "reachHost": False,
            "remap": {f"tcp:{port}": front},
        }
        (self._home / "settings.json").write_text(json.dumps(settings))
        self._paths = Paths.under(self._home)
        self._environment = {**os.environ, HOME_VARIABLE: str(self._home)}
        server.add_to_path(self._environment)
        self._is_up = False

    def start(self) -> float:
        """Seconds from nothing to a mirror that carries. Raises SamehostError."""
        self.end()
        begin = time.monotonic()
        up = [sys.executable, "-m", "desktop.cli.main", "up", "--machine", self._machine]
        done = subprocess.run(
            up,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
        if done.returncode:
            raise SamehostError(f"{' '.join(up[2:])}: {done.stderr.strip()}")
        self._is_up = True
        await_so(lambda: echoes(self._front), "there is no mirror")
        return time.monotonic() - begin

    def end(self) -> None:
        """End it, if it runs."""
        if self._is_up:
            stop_daemon(self._paths, lambda _: None)
            clean_up(self._paths, lambda _: None)
            self._is_up = False

    def pids(self) -> list[int]:
        """Its daemon; whatever else there is, are children."""
        return [int(self._paths.lock_file.read_text())]


@contextlib.contextmanager
def _plain(stage: Stage, server: SshServer, port: int, *options: str) -> Iterator[int]:
    """The port of a plain forward to the server in the container."""
    front = stage.port()
    forward = ["-N", "-L", f"127.0.0.1:{front}:127.0.0.1:{port}", "-o", "ExitOnForwardFailure=yes"]
    place = server.destination()
    command = [str(server.bin / "ssh"), *options, *forward, "-p", str(place.port)]
    process = subprocess.Popen(
        [*command, f"{place.user}@{place.host}"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        wait_for("127.0.0.1", front)
        yield front
    finally:
        process.kill()
        process.communicate()


def _cases() -> list[Case]:
    """Those of the comparison that a way without CPU figures can tell, with names of their own."""
    return [
        replace(
            case,
            readings=tuple(
                replace(reading, name=f"over SSH: {reading.name}", limit=None)
                for reading in case.readings
                if not reading.name.startswith("CPU")
            ),
        )
        for case in TCP
        if case.is_needed
    ]


def _judged(figures: list[Figure]) -> Iterator[Figure]:
    """The same, with what is required of ours."""
    plain = {figure.name: figure for figure in figures if figure.way == PLAIN}
    for figure in figures:
        is_required = figure.name.removeprefix("over SSH: ").startswith(REQUIRED)
        if figure.way == OURS and is_required and figure.name in plain:
            figure = figure.requiring(_requirement(figure, plain[figure.name]))
        yield figure


def _requirement(figure: Figure, plain: Figure) -> Requirement:
    of_plain = ratio(figure.values, plain.values)
    text = f"at least {LEAST_RATIO:g} of {PLAIN}, is {of_plain:.2f}"
    return Requirement(text, of_plain >= LEAST_RATIO)


def _start(seconds: list[float]) -> Figure:
    required = Requirement(
        f"under {MOST_START_SECONDS:g} s", sorted(seconds)[len(seconds) // 2] < MOST_START_SECONDS
    )
    return Figure(
        "over SSH: samehost up to first mirror", "s", tuple(seconds), required=required, way=OURS
    )
