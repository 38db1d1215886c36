"""What there is in a soak, and when all of it is well.

Rules: one that does not heal within HEAL_SECONDS fails the soak. Counterparts: `faults.py` and
`injuries.py` injure it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.integration.conftest import require_root
from tests.integration.injured import disk
from tests.integration.samehost import Samehost, resume, until
from tests.soak.daemon import WAY_VARIABLE
from tests.soak.held import inets_around
from tests.soak.listening import Kinds, Looks, Port, residents

__all__ = [
    "HEAL_SECONDS",
    "Scene",
    "heal",
    "learn",
    "listens",
    "resumed",
    "running",
    "serves",
    "settle",
]

HEAL_SECONDS: Final = 60.0
"""On a computer that does other things as well."""
DAEMON: Final = "tests.soak.daemon"
POLL_SECONDS: Final = 0.2
UDP_IDLE_SECONDS: Final = 2
"""So that no socket of a client that is gone is left when the load has ended."""
FOLDERS: Final = {"run": "64k", "logs": "16m"}
"""File systems of their own, so that they can be full; the log's own limit is less."""


@dataclass
class Scene:
    """What there is: ports of containers and of this computer, each TCP and, next, UDP.

    Attributes:
        by_stubs: the agent opens a socket for each port of this computer.
        residents: what the agent has open besides.
    """

    samehost: Samehost
    way: str
    there: int
    here: int
    servers: tuple[str, ...]
    by_stubs: bool
    residents: Kinds = field(default_factory=Counter)

    @property
    def mirrors(self) -> set[Port]:
        """The ports that the daemon must have, and no others."""
        return {("tcp", "0.0.0.0", self.there), ("udp", "0.0.0.0", self.there + 1)}

    @property
    def state(self) -> str:
        """The machine's."""
        return str(self.samehost.status()["machine"]["state"])

    def begin_daemon(self) -> None:
        """Start another daemon, and attach it."""
        self.samehost.start_daemon(DAEMON)
        self.samehost.run("up")


@contextlib.contextmanager
def running(way: str, *, by_stubs: bool) -> Iterator[Samehost]:
    """One that is up and on, and has the image loaded."""
    require_root()
    samehost = Samehost()
    samehost.environment[WAY_VARIABLE] = way
    settings = {
        "hostNetworkingEnabled": True,
        "udpIdleSeconds": UDP_IDLE_SECONDS,
        "ebpf": "off" if by_stubs else "auto",
    }
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, samehost.home)
        for name, size in FOLDERS.items():
            (samehost.home / name).mkdir(mode=0o700)
            stack.enter_context(disk(samehost.home / name, size))
        stack.callback(samehost.remove)
        samehost.paths.settings_file.write_text(json.dumps(settings))
        samehost.start_daemon(DAEMON)
        samehost.run("up")
        samehost.load_image()
        yield samehost


def is_well(scene: Scene) -> bool:
    """Every row of ours is active."""
    ours = {
        ("machine", "tcp", scene.there),
        ("machine", "udp", scene.there + 1),
        ("host", "tcp", scene.here),
        ("host", "udp", scene.here + 1),
    }
    rows = [
        (row["origin"], row["protocol"], row[f"{row['origin']}_port"], row["state"])
        for row in scene.samehost.ports()
    ]
    found = [row for row in rows if row[:3] in ours]
    return sorted(found) == sorted((*each, "active") for each in ours)


def heal(scene: Scene) -> None:
    """Wait until all is well."""
    until(lambda: is_well(scene), "all to be well", HEAL_SECONDS)


def serves(scene: Scene) -> bool:
    """True if both servers listen in the machine; a row may tell of their predecessors."""
    ports = {("tcp", scene.there), ("udp", scene.there + 1)}
    there = {(each.protocol, each.port) for each in inets_around(scene.samehost.agent())}
    return ports <= there


def settle(scene: Scene) -> list[str]:
    """What is open and should not be, or the other way round, however long one waits."""
    looks = Looks(scene.samehost, scene.mirrors, scene.residents, by_stubs=scene.by_stubs)
    deadline = time.monotonic() + HEAL_SECONDS
    while (found := looks.again()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def learn(scene: Scene) -> None:
    """Remember what the agent has open by itself."""
    heal(scene)
    scene.residents = residents(scene.samehost)


def listens(port: int) -> bool:
    """True if somebody listens on that port here."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def resumed(agent: int) -> Iterator[None]:
    """An agent that is stopped meanwhile goes on, if it is still there."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            resume(agent)
