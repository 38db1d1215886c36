"""Where the tests of container engines play: a Samehost with Docker, Podman and containerd in it.

Counterparts: `engines.py`, `stage.py`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from link.labels import service_of
from tests.integration.conftest import require_root
from tests.integration.engines import Containerd, Inside, Podman
from tests.integration.samehost import IMAGE, PATIENCE, Samehost, quiet_ports
from tests.integration.stage import Stage, hears, open_stage

__all__ = ["Place", "open_place", "serving"]


def serving(port: int, words: str = "hello") -> tuple[str, ...]:
    """The command of a server that says its words to each client."""
    return ("socat", f"TCP-LISTEN:{port},fork,reuseaddr", f"EXEC:echo {words}")


@dataclass
class Place:
    """A Samehost with its table, and the engines in its machine: Docker and, by name, others."""

    stage: Stage
    inside: Inside
    others: dict[str, Podman | Containerd]

    @property
    def engines(self) -> list[str]:
        """Those that can be had."""
        return ["docker", *self.others]

    @property
    def samehost(self) -> Samehost:
        return self.stage.samehost

    @property
    def docker_host(self) -> str:
        """Where its Docker listens, as DOCKER_HOST has it."""
        line = self.samehost.run("machine", "env", "sandbox")
        return line.strip().partition("=")[2].strip("'\"")

    def docker(self, *arguments: str) -> str:
        """A command of the machine's Docker; what it said. Needs nothing of Samehost."""
        return self.inside.run("docker", *arguments)

    @contextlib.contextmanager
    def docker_container(self, name: str, *command: str, network: str = "host") -> Iterator[str]:
        """A container of the machine's Docker; its id."""
        options = ["-d", f"--name={name}", f"--network={network}"]
        identity = self.docker("run", *options, IMAGE, *command)
        try:
            yield identity
        finally:
            self.docker("rm", "-f", identity)

    @contextlib.contextmanager
    def container(self, engine: str, name: str, *command: str) -> Iterator[str]:
        """A host-networked container of an engine; its id. Skips if there is no such engine."""
        if engine not in self.engines:
            pytest.skip(f"{engine} is not installed: scripts/setup engines")
        make = self.docker_container if engine == "docker" else self.others[engine].container
        with make(name, *command) as identity:
            yield identity

    def command(self, engine: str, *arguments: str) -> None:
        """A command of the engine's own."""
        if engine == "docker":
            self.docker(*arguments)
        else:
            self.others[engine].run(*arguments)

    def agent(self) -> str:
        """The agent's process id in the machine, "" if there is none."""
        return self.inside.sh("pgrep -f '[a]gent.pyz' || true")

    def owner(self, port: int) -> tuple[str, str, str] | None:
        """Id, name and runtime of the container of an active mirror."""
        rows = self.stage.table.rows("tcp", port)
        if [row["state"] for row in rows] != ["active"] or rows[0]["container"] is None:
            return None
        container = rows[0]["container"]
        return container["id"], container["name"], container["runtime"]

    def details(self, port: int) -> dict[str, Any]:
        """The container of an active mirror with all that is known of it; {} if there is none."""
        rows = json.loads(self.samehost.try_run("ports", "--wide", "--json").stdout)
        active = [row for row in rows if (row["machine_port"], row["state"]) == (port, "active")]
        container: dict[str, Any] | None = active[0]["container"] if active else None
        return container or {}

    def service(self, port: int) -> str:
        """The service that its labels name."""
        return service_of(self.details(port).get("labels", {}))

    def name(self, port: int) -> str:
        """The name of the container of an active mirror."""
        owner = self.owner(port)
        return owner[1] if owner else ""

    def until_named(self, port: int, name: str) -> None:
        """Wait until its container has that name, which an engine may tell after the mirror."""
        self.stage.table.until(lambda: self.name(port) == name, f"the name {name}")

    def since(self, port: int) -> float:
        """When the mirror was opened."""
        (row,) = self.stage.table.rows("tcp", port)
        return float(row["since"])

    def until_mirrored(self, port: int, words: str = "hello") -> None:
        """Wait until a client on this computer hears the server."""
        self.stage.table.until(lambda: self.owner(port), f"a mirror of {port}")
        assert hears("tcp", "127.0.0.1", port, PATIENCE).strip() == words

    def until_gone(self, port: int) -> None:
        """Wait until the mirror is gone."""
        self.stage.table.until(lambda: not self.stage.table.rows("tcp", port), "it to go")

    def see_another(self) -> None:
        """Wait until the watcher has seen a listener that is opened now: a scan has been made."""
        port = quiet_ports(1)
        with self.stage.inside.serving("tcp", "127.0.0.1", port):
            self.stage.table.until(lambda: self.owner(port), "another mirror")


@contextlib.contextmanager
def open_place() -> Iterator[Place]:
    """One of its own. Podman's service does not run yet."""
    require_root()
    with open_stage() as stage:
        inside = Inside(stage.samehost)
        inside.unpack_image()
        place = Place(stage, inside, {})
        if shutil.which("ctr"):
            place.others["containerd"] = Containerd(inside)
        if shutil.which("podman"):
            place.others["podman"] = Podman(inside)
        yield place
