"""An agent in a machine or in a container of it, linked to a desktop without rules: what it tells.

The desktop's end runs in a thread, so that a test can start containers and wait meanwhile.

Counterparts: `both_ends.py` has that desktop, `test_agent_in_container.py` and
`test_old_cgroups.py` start agents.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from desktop.mirror.inventory import Inventory
from desktop.transports.tcp import TcpTransport
from link.listener import Listener
from link.messages import Delta, Message, Snapshot, Watching, Welcome
from scripts import demo_image
from tests.integration.both_ends import PATIENCE, SECRET, Desktop
from tests.integration.engines import Inside
from tests.integration.python_image import PYTHON_IMAGE, build_python_image
from tests.integration.samehost import quiet_ports, until
from vmagent.watch.owners import REMEDY, TRIES
from vmagent.watch.watcher import EVENTS_CEILING

__all__ = ["LinkedAgent", "Place", "serving", "tells_containers_only"]

NO_CAPABILITIES: Final = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Whoever is root may look into a process of root that has no more capabilities (ptrace(2))."""

SECONDS_IN_VAIN: Final = TRIES * EVENTS_CEILING
"""After that the owner of every listener that was there is decided."""


class LinkedAgent:
    """What one agent has told so far.

    Attributes:
        description: how it watches, in its own words.
    """

    def __init__(self) -> None:
        self.description = ""
        self._inventory = Inventory()
        self._news = threading.Condition()

    @property
    def ports(self) -> set[int]:
        """The ports that it says containers listen on."""
        with self._news:
            return {each.port for each in self._inventory.listeners.values()}

    def listener(self, port: int) -> Listener | None:
        """What it says of a port."""
        with self._news:
            found = (each for each in self._inventory.listeners.values() if each.port == port)
            return next(found, None)

    def owner(self, port: int) -> tuple[str, str, str] | None:
        """Id, name and runtime of the container of a port."""
        listener = self.listener(port)
        container = listener.container if listener else None
        return (container.id, container.name, container.runtime) if container else None

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until `condition` is true; it is asked again after every word of the agent."""
        with self._news:
            met = self._news.wait_for(condition, PATIENCE)
            told = self._inventory.listeners
            assert met, f"waited {PATIENCE} s for: {what}; {self.description}; {told}"

    def remains(self, condition: Callable[[], Any], what: str) -> None:
        """See that `condition` is true, and stays so while the agent looks for owners in vain."""
        with self._news:
            broken = self._news.wait_for(lambda: not condition(), SECONDS_IN_VAIN)
            assert not broken, f"no more {what}: {self.description}; {self._inventory.listeners}"

    async def follow(self, transport: TcpTransport, ended: asyncio.Event) -> None:
        """Be the desktop until `ended`."""
        desktop = Desktop(transport, SECRET)
        try:
            await desktop.start()
            stop = asyncio.ensure_future(ended.wait())
            while not stop.done():
                message = asyncio.ensure_future(desktop.messages.get())
                await asyncio.wait((stop, message), return_when=asyncio.FIRST_COMPLETED)
                if message.done():
                    self._take(message.result())
                else:
                    message.cancel()
        finally:
            await desktop.stop()

    def _take(self, message: Message) -> None:
        with self._news:
            if isinstance(message, (Welcome, Watching)):
                self.description = message.watcher
            elif isinstance(message, Snapshot):
                self._inventory.snapshot(message)
            elif isinstance(message, Delta):
                assert self._inventory.delta(message)
            self._news.notify_all()


@dataclass(frozen=True)
class Place:
    """A machine with an engine that has both images.

    `engine_socket` is how the agent is told of the engine, and `bundle` the agent. `apart` is a
    kind of network that is not the machine's.
    """

    inside: Inside
    engine_socket: str
    bundle: Path
    apart: str = "bridge"

    def docker(self, *arguments: str) -> str:
        """A command of the engine's; what it said."""
        return self.inside.run(*self._docker(), *arguments)

    def load_images(self, folder: Path) -> None:
        """Put the demonstration's image into the engine, and one with Python."""
        archive = folder / "python.tar"
        build_python_image(archive)
        self.docker("import", str(archive), PYTHON_IMAGE)
        archive.unlink()
        self.docker(*demo_image.import_arguments(demo_image.build()))

    @contextlib.contextmanager
    def container(self, name: str, *command: str, network: str = "host") -> Iterator[str]:
        """A container of the demonstration's image; its id."""
        options = ["--detach", f"--name={name}", f"--network={network}"]
        identity = self.docker("run", *options, demo_image.IMAGE, *command)
        try:
            yield identity
        finally:
            self.docker("rm", "--force", identity)

    @contextlib.contextmanager
    def others(self, port: int) -> Iterator[None]:
        """What must never be told: a daemon, and a container in a network of its own."""
        with self.inside.running(*NO_CAPABILITIES, *serving(port)):
            until(lambda: f":{port} " in self.inside.run("ss", "-Hltn"), "the daemon")
            with self.container("apart", *serving(port + 1), network=self.apart):
                yield

    @contextlib.contextmanager
    def agent(self) -> Iterator[LinkedAgent]:
        """An agent on the machine itself."""
        argv = self.inside.command("/usr/bin/python3", "-I", str(self.bundle))
        with self._linked(argv) as agent:
            yield agent

    @contextlib.contextmanager
    def agent_in_container(self, *options: str) -> Iterator[LinkedAgent]:
        """An agent in a container called "agent" in the machine's network."""
        bundle = f"--volume={self.bundle}:/agent.pyz:ro"
        fixed = ["--interactive", "--rm", "--name=agent", "--network=host", bundle]
        program = ["python3", "-I", "/agent.pyz"]
        run = [*self._docker(), "run", *fixed, *options, PYTHON_IMAGE, *program]
        with self._linked(self.inside.command(*run)) as agent:
            yield agent

    def _docker(self) -> list[str]:
        return ["docker", "--host", f"unix://{self.engine_socket}"]

    @contextlib.contextmanager
    def _linked(self, argv: Sequence[str]) -> Iterator[LinkedAgent]:
        machine, host = self.inside.addresses
        door = {"kind": "tcp", "address": machine, "port": 0, "peer": host, "carries_reset": True}
        order = {"secret": SECRET.hex(), "door": door, "engine_sockets": [self.engine_socket]}
        with _running(argv) as (process, errors):
            print(json.dumps(order), file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
            errors.seek(0)
            assert line, errors.read()
            answer = json.loads(line)
            assert answer["ready"], answer
            transport = TcpTransport(machine, *answer["door"]["ports"])
            with _desktop(LinkedAgent(), transport) as agent:
                yield agent


def tells_containers_only(place: Place, start: AbstractContextManager[LinkedAgent]) -> None:
    """See an agent tell of containers that were there before, come and go, and of nobody else."""
    early, late, daemon = (port := quiet_ports(4)), port + 1, port + 2
    with place.others(daemon), place.container("early", *serving(early)) as first:
        with start as agent:
            agent.until(lambda: agent.owner(early) == (first, "early", "docker"), "its name")
            with place.container("late", *answering(late)) as second:
                agent.until(lambda: agent.owner(late) == (second, "late", "docker"), "its name")
                agent.remains(lambda: agent.ports == {early, late}, "two containers only")
                found = [agent.listener(port) for port in (early, late)]
                assert [each.process for each in found if each] == ["socat", "socat"]
            agent.until(lambda: agent.ports == {early}, "its end")
            assert agent.description.startswith("eBPF, ")
            assert REMEDY not in agent.description


def serving(port: int) -> list[str]:
    """The command of a TCP server."""
    return ["socat", f"TCP-LISTEN:{port},fork,reuseaddr", "EXEC:echo hello"]


def answering(port: int) -> list[str]:
    """The command of a UDP server."""
    return ["socat", f"UDP-LISTEN:{port},fork,reuseaddr", "EXEC:cat"]


@contextlib.contextmanager
def _running(argv: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], TextIO]]:
    """A process, which ends with its standard input, and its standard error."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield process, errors
        finally:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


@contextlib.contextmanager
def _desktop(agent: LinkedAgent, transport: TcpTransport) -> Iterator[LinkedAgent]:
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(agent.follow(transport, ended),)
    )
    thread.start()
    try:
        agent.until(lambda: agent.description, "its welcome")
        yield agent
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
