"""A Samehost of the tests' own: driven by its command line, as a user would.

What is asked again and again is asked of the daemon by the control API, as the commands do: to
start a command takes a hundred times as long as the answer. `test_main_job.py` compares them.

Counterparts: `servers.py` and `puppet.py` are what runs in its containers.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import pytest

from desktop.api.client import ApiClient
from desktop.errors import SamehostError
from desktop.paths import Paths
from link.sockdiag import SockDiag, ephemeral_ports
from scripts import demo_image
from tests.integration.conftest import require_root
from tests.integration.puppet import Puppet, program

__all__ = [
    "IMAGE",
    "PATIENCE",
    "Samehost",
    "free_port",
    "free_ports",
    "ports_of",
    "quiet_ports",
    "resume",
    "running_samehost",
    "says",
    "talk",
    "until",
]

IMAGE = demo_image.IMAGE
PATIENCE = 30.0
"""Seconds until a test gives up waiting; a loaded machine is slow, not wrong."""


class Samehost:
    """One SAMEHOST_HOME."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="samehost-"))
        self.paths = Paths.under(self.home)
        self.environment = {**os.environ, "SAMEHOST_HOME": str(self.home)}
        _alive.add(self)

    def command(self, *arguments: str) -> list[str]:
        """The argument list of a `samehost` command."""
        return [sys.executable, "-m", "desktop.cli.main", *arguments]

    def try_run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def run(self, *arguments: str, text: str = "") -> str:
        """Run a command that must succeed; its standard output."""
        done = self.try_run(*arguments, text=text)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start_daemon(self, module: str, output: IO[bytes] | None = None) -> None:
        """Start another daemon than that of `samehost up`, which then finds it.

        `output` is where it writes what is not for its log.
        """
        reader, writer = os.pipe()
        with open(reader, "rb") as ready, open(writer, "wb") as ours:
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--ready-fd", str(writer)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writer,),
                start_new_session=True,
            )
            ours.close()
            assert json.loads(ready.readline()) == {"ready": True}
        process.returncode = 0  # `down` ends it

    def docker(self, *arguments: str, text: str = "") -> str:
        """`samehost docker …`, stripped."""
        return self.run("docker", *arguments, text=text).strip()

    def ports(self) -> list[dict[str, Any]]:
        """The rows of `samehost ports --json`, asked by the API."""
        try:
            with ApiClient.connect(self.paths.api_socket) as client:
                return client.ports()[1]
        except SamehostError:  # the command knows what to say then
            rows: list[dict[str, Any]] = json.loads(self.try_run("ports", "--json").stdout)
            return rows

    def rows(self, port: int, origin: str = "machine") -> list[dict[str, Any]]:
        """The rows of one real listener's port."""
        key = f"{origin}_port"
        return [row for row in self.ports() if row["origin"] == origin and row[key] == port]

    def states(self, port: int, origin: str = "machine") -> list[str]:
        """The states of those rows."""
        return [row["state"] for row in self.rows(port, origin)]

    def status(self) -> dict[str, Any]:
        """What `samehost status --json` says, asked by the API."""
        try:
            with ApiClient.connect(self.paths.api_socket) as client:
                status: dict[str, Any] = client.call("status")
        except SamehostError:
            status = json.loads(self.try_run("status", "--json").stdout)
        return status

    def set(self, key: str, value: object) -> None:
        """What `samehost settings set` does, by the API. Raises SamehostError."""
        with ApiClient.connect(self.paths.api_socket) as client:
            client.call("set_setting", {"key": key, "value": value})

    def load_image(self) -> None:
        """Put the demonstration's image into the machine."""
        self.docker(*demo_image.import_arguments(demo_image.build()))

    @contextlib.contextmanager
    def container(self, *command: str, network: str = "host") -> Iterator[str]:
        """A detached container of the demonstration's image; its id."""
        name = self.docker("run", "-d", f"--network={network}", IMAGE, *command)
        try:
            yield name
        finally:
            self.docker("rm", "-f", name)

    @contextlib.contextmanager
    def python(self, code: str, *arguments: str) -> Iterator[str]:
        """A container that runs Python code, with the interpreter of this computer."""
        name = self.start_python(code, *arguments)
        try:
            yield name
        finally:
            self.docker("rm", "-f", name)

    def start_python(self, code: str, *arguments: str) -> str:
        """Start such a container, for a test that ends it, or all that it is in; its id."""
        return self.docker(
            *("run", "-d", "--network=host", "-v", "/:/desktop:ro", IMAGE),
            *("busybox", "chroot", "/desktop", "/usr/bin/python3", "-u", "-c", code, *arguments),
        )

    @contextlib.contextmanager
    def puppet(self, name: str, network: str = "host") -> Iterator[Puppet]:
        """A container of that name, to be told what to open and whom to ask."""
        options = ["-i", "--rm", f"--name={name}", f"--network={network}", "-v", "/:/desktop:ro"]
        chroot = ["busybox", "chroot", "/desktop", *program()]
        puppet = Puppet(self.command("docker", "run", *options, IMAGE, *chroot), self.environment)
        try:
            yield puppet
        finally:
            puppet.end()

    def daemon(self) -> int:
        """The daemon's process."""
        return int(self.paths.lock_file.read_text())

    def agent(self) -> int:
        """The agent's process, once there is one."""
        return int(until(self.agent_if_any, "the agent"))

    def agent_if_any(self, machine: str = "") -> int | None:
        """The agent's process, if there is one; of that sandbox, where there are several."""
        if machine:
            return _python_process_of(str(self.paths.machine(machine) / "agent.pyz"))
        return _python_process_of("agent.pyz", str(self.home))

    def evidence(self) -> str:
        """What a person would ask for when something did not happen."""
        listing = self.try_run("docker", "ps", "-a", "--format={{.ID}} {{.Status}} {{.Command}}")
        tables = [self.try_run(verb).stdout for verb in ("status", "ports")] + [listing.stdout]
        for line in listing.stdout.splitlines():
            logs = self.try_run("docker", "logs", "--tail=5", line.split()[0])
            tables.append(f"{line.split()[0]}: {logs.stdout}{logs.stderr}")
        tables.append("\n".join(self.try_run("logs").stdout.splitlines()[-20:]))
        return "\n".join(tables)

    def remove(self) -> None:
        """End it and remove its folder. What cannot be ended is a failure of the test."""
        done = self.try_run("down")
        _alive.discard(self)
        shutil.rmtree(self.home, ignore_errors=True)
        assert done.returncode == 0, f"down: {done.returncode}\n{done.stdout}{done.stderr}"


_alive: Final[set[Samehost]] = set()
"""Whose evidence a failure shows."""


@contextlib.contextmanager
def running_samehost(daemon: str = "", **settings: object) -> Iterator[Samehost]:
    """One that is up, on, and has the image loaded; `settings` are there from its start.

    `daemon` is the module of another daemon than the usual one.
    """
    require_root()
    samehost = Samehost()
    try:
        chosen = {"hostNetworkingEnabled": True, **settings}
        (samehost.home / "settings.json").write_text(json.dumps(chosen))
        if daemon:
            samehost.start_daemon(daemon)
        samehost.run("up")
        samehost.load_image()
        yield samehost
    finally:
        samehost.remove()


def _python_process_of(*words: str) -> int | None:
    """The first process of Python whose command line has all these words."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            program = (entry / "exe").readlink().name
        except OSError:
            continue  # it has ended
        if program.startswith("python") and all(word in line for word in words):
            return int(entry.name)
    return None


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Poll until `condition` is true; its value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            evidence = "\n".join(each.evidence() for each in _alive)
            pytest.fail(f"waited {patience} s for: {what}\n{evidence}")
        time.sleep(0.02)
    return value


def resume(agent: int) -> None:
    """Let a stopped agent go on, and its parent, nsenter(1), which stops when its child does."""
    status = Path(f"/proc/{agent}/status").read_text()
    (parent,) = (line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
    os.kill(int(parent), signal.SIGCONT)
    os.kill(agent, signal.SIGCONT)


def free_port() -> int:
    """A port that nobody listens on, on any address of this computer (`quiet_ports`).

    Not one that the kernel chooses: in the machine it may be the port of a client's connection,
    alive or in TIME_WAIT, and the container that binds it would end with EADDRINUSE.
    """
    return quiet_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    with contextlib.closing(SockDiag()) as diag:
        taken = {record.port for record in diag.listeners()}
    first = 20000
    while blocked := taken.intersection(range(first, first + count)):
        first = max(blocked) + 1
    return first


def quiet_ports(count: int, among: range | None = None) -> int:
    """The first of `count` ports in a row on which nothing listens here, TCP or UDP.

    Below the range from which the kernel chooses ports, so that UDP counts at once, unless `among`
    says otherwise; at random, so that tests that run at once do not meet.
    """
    among = among or range(10000, ephemeral_ports().start)
    with contextlib.closing(SockDiag()) as diag:
        taken = {record.port for record in diag.listeners()}
    while True:
        first = random.randrange(among.start, among.stop - count)
        if taken.isdisjoint(range(first, first + count)):
            return first


def ports_of(pid: int) -> set[tuple[str, str, int]]:
    """Where a process listens, or waits for datagrams from anybody."""
    with contextlib.closing(SockDiag()) as diag:
        every = diag.listeners()
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(os.readlink(entry))
    return {
        (each.protocol, each.address, each.port)
        for each in every
        if f"socket:[{each.inode}]" in held
    }


def talk(address: str, port: int, words: bytes = b"", patience: float = PATIENCE) -> bytes:
    """Connect, say `words`, and hear all until end-of-file. Raises OSError."""
    with socket.create_connection((address, port), timeout=patience) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while part := client.recv(65536):
            heard += part
        return heard


def says(port: int) -> bytes:
    """What is heard of a port without a word said to it; b"" where nobody listens."""
    try:
        return talk("127.0.0.1", port)
    except OSError:
        return b""
