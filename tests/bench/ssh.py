"""What logs in to one sshd in the machine: Samehosts, and plain `ssh -L`.

    client ─▶ mirror ─▶ daemon ─▶ ssh or paramiko ══▶ sshd ─▶ agent ─▶ server in the container
    client ─▶ ssh -L ═══════════════════════════════▶ sshd ─────────▶ server in the container

Rules: a Samehost that logs in has a folder of its own, knows the machine only as a server, and
mirrors one port of it; since the stage's own has that port already, its mirror has another
(`remap`). One that is to go by paramiko finds no ssh(1), nor any other program.

A start is `samehost up` with no daemon there, until a byte has come back through the mirror of a
server in the container that was there before. Counterpart: `transports.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import SamehostError
from desktop.paths import HOME_VARIABLE, Paths
from desktop.settings.values import HIGHEST_PORT
from tests.bench.cases import Way
from tests.bench.contest import cpu_of
from tests.bench.flows import await_so, echoes
from tests.bench.load import wait_for
from tests.bench.signals import signals_wait
from tests.bench.stage import Stage
from tests.integration.ssh_server import SshServer, ssh_server

__all__ = ["LoggedIn", "plain_forward", "server_in"]

LOCAL: Final = "127.0.0.1"
UP_SECONDS: Final = 60
INTO_THE_MACHINE: Final = ("setpriv", "--pdeathsig", "KILL")


@contextlib.contextmanager
def server_in(stage: Stage) -> Iterator[SshServer]:
    """An sshd in the stage's machine."""
    inside = stage.command_in_machine(*INTO_THE_MACHINE)
    with ssh_server(stage.addresses[0], inside=inside) as server:
        yield server


class LoggedIn(contextlib.AbstractContextManager["LoggedIn"]):
    """A Samehost that logs in, by ssh(1) if it `has_client`; it is down until it is started.

    Attributes:
        way: through its mirror to a server in the container.
        paths: its files.
    """

    def __init__(self, stage: Stage, server: SshServer, name: str, *, has_client: bool) -> None:
        home = stage.folder / f"by-{name}"
        home.mkdir()
        port, self._front = stage.serve_in_container(), stage.port()
        settings = {
            "hostNetworkingEnabled": True,
            "portBinding": "localhost",
            "reachHost": False,
            "remap": {f"tcp:{port}": self._front},
            "ignore": _all_but(port),
        }
        (home / "settings.json").write_text(json.dumps(settings))
        self.paths = Paths.under(home)
        self._machine = server.name()
        self._environment = {**os.environ, HOME_VARIABLE: str(home)}
        if has_client:
            server.add_to_path(self._environment)
        else:
            (home / ".ssh").mkdir(mode=0o700)
            (home / ".ssh" / "config").write_text(server.config.read_text())
            self._environment |= {"HOME": str(home), "PATH": str(home)}
        self._is_started = False
        cpu = cpu_of(lambda: (*self.pids, server.pid))
        self.way = Way(name, stage.load, LOCAL, self._front, cpu)

    def __exit__(self, *_: object) -> None:
        with signals_wait():
            self.end()

    @property
    def pids(self) -> list[int]:
        """Its daemon, if there is one; what else there is on this computer, are children."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return [int(self.paths.lock_file.read_text())] if self._is_started else []
        return []

    def start(self) -> float:
        """Seconds from nothing to a mirror that carries. Raises SamehostError."""
        self.end()
        up = [sys.executable, "-m", "desktop.cli.main", "up", "--machine", self._machine]
        self._is_started = True
        begin = time.monotonic()
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
        await_so(lambda: echoes(self._front), "there is no mirror")
        return time.monotonic() - begin

    def end(self) -> None:
        """End it, if it runs."""
        if self._is_started:
            self._is_started = False
            stop_daemon(self.paths, lambda _: None)
            clean_up(self.paths, lambda _: None)


def _all_but(port: int) -> list[str]:
    """Rules for all ports of the machine but that one."""
    ranges = f"tcp:1-{port - 1}", f"tcp:{port + 1}-{HIGHEST_PORT}", f"udp:1-{HIGHEST_PORT}"
    return [f"machine:{each}" for each in ranges]


@contextlib.contextmanager
def plain_forward(
    stage: Stage, server: SshServer, name: str, options: Sequence[str]
) -> Iterator[Way]:
    """The way through `ssh -L` with such options to a server in the container."""
    port, front = stage.serve_in_container(), stage.port()
    place = server.destination()
    client = [str(server.bin / "ssh"), *options, "-N", "-o", "ExitOnForwardFailure=yes"]
    forward = ["-L", f"{LOCAL}:{front}:{LOCAL}:{port}"]
    process = subprocess.Popen(
        [*client, *forward, "-p", str(place.port), f"{place.user}@{place.host}"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(LOCAL, front)
        yield Way(name, stage.load, LOCAL, front, cpu_of(lambda: (process.pid, server.pid)))
    finally:
        process.kill()
        process.communicate()
