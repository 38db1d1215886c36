"""The stage: a Samehost of its own, with one host-networked container, in a temporary folder.

Rules: everything is under that folder, and everything is taken down on leaving, whatever ended
the measuring; a signal that comes meanwhile waits. Mirrors bind loopback only.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desktop.api.client import ApiClient
from desktop.api.peers import peer_of
from desktop.cli.launch import start_daemon
from desktop.cli.stopping import clean_up, stop_daemon
from desktop.errors import PermissionDeniedError, SamehostError
from desktop.machines.sandbox import Sandbox
from desktop.paths import HOME_VARIABLE, Paths
from tests.bench.load import Load, build_load, free_block, free_port, wait_for, wait_for_echo
from tests.bench.peers import Route
from tests.bench.processes import find_python
from tests.bench.signals import signals_wait
from tests.bench.tiers import BEST, Refusals, Tier

__all__ = ["DatagramServer", "Stage", "another_stage", "say", "set_stage"]

PROJECT: Final = Path(__file__).parents[2]
DAEMON: Final = "desktop.daemon"
IMAGE: Final = "samehost/bench"
MACHINE: Final = "sandbox"
SHARE: Final = "/bench"
"""Where the container sees the folder with the load program."""
READY_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class DatagramServer:
    """A UDP server: its port, and its Unix socket for orders as the desktop sees it."""

    port: int
    orders: Path

    @property
    def orders_in_container(self) -> str:
        """The same as the container sees it."""
        return f"{SHARE}/{self.orders.name}"


class Stage:
    """What the measures need. Made by `set_stage`. `daemon` is the module of its daemon."""

    def __init__(self, folder: Path, daemon: str = DAEMON) -> None:
        self.folder = folder
        self._daemon = daemon
        self._share = folder / "share"
        self._ports: list[int] = []
        self._container = ""
        self._servers = contextlib.ExitStack()
        self.paths = Paths.under(folder / "home")
        self.load = Load((str(self._share / "load"),))
        self._refusals = Refusals(folder / "bin", self._share / "load")
        self._tier = BEST

    @property
    def load_in_container(self) -> Load:
        """The load program in the container."""
        command = (*self._docker, "exec", "--interactive", self._container, f"{SHARE}/load")
        return Load(command)

    @property
    def addresses(self) -> tuple[str, str]:
        """The machine's address and the desktop's, on the cable between them."""
        return Sandbox(MACHINE, self.paths).addresses()

    @property
    def pids(self) -> tuple[int, int]:
        """The processes of the daemon and of the agent."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.paths.api_socket))
            daemon = peer_of(sock).pid
        return daemon, find_python(str(self.agent_file))

    @property
    def agent_file(self) -> Path:
        """The agent's program, where desktop and machine see it."""
        return self.paths.machine(MACHINE) / "agent.pyz"

    def command_in_machine(self, *command: str) -> list[str]:
        """How to run a command as one of the machine's own processes."""
        return Sandbox(MACHINE, self.paths).command(*command)

    def port(self) -> int:
        """A port that no one has had yet."""
        self._ports.append(free_port(self._ports))
        return self._ports[-1]

    def block(self, count: int) -> range:
        """So many ports in a row that nobody has."""
        return free_block(count)

    def route(self, name: str, tcp_port: int, udp_port: int) -> Route:
        """A peer's way to servers in the container, with a folder of that name."""
        folder = self.folder / "-".join(("peer", *name.split()))
        load, (_, agent) = self._share / "load", self.pids
        ends = self.port(), *self.addresses
        return Route(folder, *ends, tcp_port, udp_port, load, agent)

    @property
    def keeper(self) -> Path:
        """The Unix socket of what listens in the container on command."""
        return self._share / "keeper.sock"

    def serve_in_container(self, port: int = 0) -> int:
        """The port of a new server in the container, `port` if it is given; its mirror is there."""
        port = port or self.port()
        server = ("exec", "--detach", self._container, f"{SHARE}/load", "server")
        self.docker(*server, "0.0.0.0", str(port))
        wait_for(self.addresses[0], port)
        wait_for("127.0.0.1", port)
        return port

    def serve_datagrams_in_container(self) -> DatagramServer:
        """A new UDP server in the container; its mirror is there."""
        server = self._datagram_server()
        command = ("exec", "--detach", self._container, f"{SHARE}/load", "udp-server")
        self.docker(*command, "0.0.0.0", str(server.port), server.orders_in_container)
        wait_for_echo(self.addresses[0], server.port)
        wait_for_echo("127.0.0.1", server.port)
        return server

    def serve_datagrams_on_desktop(self) -> tuple[DatagramServer, DatagramServer]:
        """A mirrored UDP server on loopback, and one on the cable's address."""
        mirrored, direct = self._datagram_server(), self._datagram_server()
        for address, server in (("127.0.0.1", mirrored), (self.addresses[1], direct)):
            arguments = (address, server.port, server.orders)
            self._servers.enter_context(self.load.running("udp-server", *arguments))
            wait_for_echo(address, server.port)
        self._await_row(mirrored.port)
        return mirrored, direct

    def serve_on_desktop(self) -> tuple[int, int]:
        """The ports of a mirrored server on loopback, and of one on the cable's address."""
        mirrored, direct = self.port(), self.port()
        host = self.addresses[1]
        for address, port in (("127.0.0.1", mirrored), (host, direct)):
            self._servers.enter_context(self.load.running("server", address, port))
            wait_for(address, port)
        self._await_row(mirrored)
        return mirrored, direct

    def docker(self, *arguments: str) -> str:
        """Run the docker command line on the machine. Raises SamehostError."""
        command = [*self._docker, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if result.returncode:
            raise SamehostError(f"docker {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout.strip()

    def use_tier(self, tier: Tier) -> None:
        """Have a new agent that detects in this way, unless it is so. Raises SamehostError."""
        if tier is self._tier:
            return
        _, before = self.pids
        self._refusals.refuse(tier.refused)
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + READY_SECONDS
        while not tier.fits(self.watcher()):
            if time.monotonic() > deadline:
                raise SamehostError(f"the agent does not detect by {tier.name}", self.watcher())
            time.sleep(POLL_SECONDS)
        self._tier = tier

    def watcher(self) -> str:
        """How the agent detects; "" while it is not connected."""
        with self.api() as client:
            return str(client.call("status")["machine"]["watcher"])

    def flows(self) -> int:
        """TCP flows open now."""
        with self.api() as client:
            return int(client.call("status")["flows"]["tcp"])

    def api(self) -> ApiClient:
        """A connection to the daemon, to be closed."""
        return ApiClient.connect(self.paths.api_socket)

    def build(self) -> None:
        """Set everything up."""
        self._share.mkdir()
        say("compiling the load program")
        build_load(self._share / "load")
        with _home(self.folder / "home"):
            start_daemon(self.paths, [sys.executable, "-P", "-m", self._daemon])
        with self.api() as client:
            client.call("attach", {"machine": MACHINE}, say)
            client.call("set_setting", {"key": "portBinding", "value": "localhost"})
            client.call("set_enabled", {"enabled": True})
        self._start_container()

    def tear_down(self) -> None:
        """End everything; nothing of it remains but the folder."""
        self._servers.close()
        stop_daemon(self.paths, say)
        clean_up(self.paths, say)

    def _datagram_server(self) -> DatagramServer:
        port = self.port()
        return DatagramServer(port, self._share / f"orders-{port}")

    @property
    def _docker(self) -> tuple[str, ...]:
        return ("docker", "--host", Sandbox(MACHINE, self.paths).docker_host())

    def _start_container(self) -> None:
        archive = self.folder / "image.tar"
        archive.write_bytes(_empty_image())
        self.docker("import", str(archive), IMAGE)
        self._container = self.docker(
            # The capability is for buffers that do not make the load program lose datagrams.
            *("run", "--detach", "--net=host", "--cap-add=NET_ADMIN"),
            *("--volume", f"{self._share}:{SHARE}"),
            *(IMAGE, f"{SHARE}/load", "keeper", f"{SHARE}/keeper.sock"),
        )
        deadline = time.monotonic() + READY_SECONDS
        while not (self._share / "keeper.sock").exists():
            if time.monotonic() > deadline:
                raise SamehostError("the container does not start", self.docker("ps", "--all"))
            time.sleep(POLL_SECONDS)

    def _await_row(self, port: int) -> None:
        """Until the machine has a mirror of the desktop's `port`."""
        deadline = time.monotonic() + READY_SECONDS
        with self.api() as client:
            while not any(
                row["host_port"] == port and row["state"] == "active" for row in client.ports()[1]
            ):
                if time.monotonic() > deadline:
                    raise SamehostError(f"port {port} is not mirrored", "see: samehost ports")
                time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def set_stage() -> Iterator[Stage]:
    """A stage, and afterwards none. Raises SamehostError."""
    if os.geteuid() != 0:
        raise PermissionDeniedError("the bench boots a sandbox, which needs root", "use sudo")
    folder = Path(tempfile.mkdtemp(prefix="samehost-bench-"))
    os.environ[HOME_VARIABLE] = str(folder / "home")
    stage = Stage(folder)
    try:
        stage.build()
        yield stage
    except SamehostError:
        _show_log(stage.paths.log_file)
        raise
    finally:
        with signals_wait():
            stage.tear_down()
            shutil.rmtree(folder)


@contextlib.contextmanager
def another_stage(stage: Stage, name: str, daemon: str) -> Iterator[Stage]:
    """One more, in a folder of that name below the other's, with another daemon."""
    folder = stage.folder / name
    folder.mkdir()
    another = Stage(folder, daemon)
    try:
        another.build()
        yield another
    finally:
        with signals_wait():
            another.tear_down()


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Let what is started meanwhile have its folders there, and find this project."""
    before = dict(os.environ)
    os.environ[HOME_VARIABLE] = str(folder)
    os.environ["PYTHONPATH"] = str(PROJECT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def say(text: str) -> None:
    """A line of progress for a person."""
    print(f"  {text}", file=sys.stderr, flush=True)


def _show_log(path: Path) -> None:
    if path.exists():
        for line in path.read_text(errors="replace").splitlines()[-20:]:
            say(line)


def _empty_image() -> bytes:
    """An archive with one folder: the load program needs nothing else, and is mounted there."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo(SHARE.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
    return content.getvalue()
