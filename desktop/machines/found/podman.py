"""Podman machines: `podman machine list` for their state, `… inspect` for their sockets.

Layout: JSON arrays (podman `pkg/domain/entities/machine.go`, `pkg/machine/config.go`). The list
says what runs: the state in the other is empty in Podman 4. The machine that Podman makes by
default is called `podman` here. Podman checks no host key of its machines either
(`pkg/machine/ssh.go`). The log-in is that of the list, which may become root without a password.
"""

from __future__ import annotations

from typing import Final

import msgspec

from desktop.findings import Finding
from desktop.machines.found.finder import Finder, NonsenseError, json_value, usable
from desktop.machines.found.model import Found, Lifecycle, Sighting
from desktop.machines.found.tools import ToolError
from desktop.machines.machine import MachineState
from desktop.machines.ssh_destination import SshDestination

__all__ = ["PodmanFinder", "parse_machines", "parse_sockets"]

DEFAULT_MACHINE: Final = "podman-machine-default"
LOOPBACK: Final = "127.0.0.1"
MOST_ASKED: Final = 20
"""Machines that one `podman machine inspect` is asked for."""


class _Machine(msgspec.Struct, rename="pascal"):
    name: str
    running: bool = False
    starting: bool = False
    port: int = 0
    remote_username: str = "core"
    identity_path: str = ""


class _File(msgspec.Struct, rename="pascal"):
    path: str = ""


class _Connection(msgspec.Struct, rename="pascal"):
    podman_socket: _File | None = None
    podman_pipe: _File | None = None


class _Details(msgspec.Struct, rename="pascal"):
    name: str
    connection_info: _Connection | None = None


class PodmanFinder(Finder):
    """Machines of the person's Podman."""

    program = "podman"

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name == "podman" or name.startswith("podman-")

    async def look(self) -> Sighting:
        """See `Finder`."""
        text = await self.tools.ask(self.program, "machine", "list", "--format", "json")
        machines, findings = usable(parse_machines(text), self.program)
        sockets: dict[str, str] = {}
        if machines:
            names = [each.name for each in machines][:MOST_ASKED]
            try:
                text = await self.tools.ask(self.program, "machine", "inspect", *names)
                sockets = parse_sockets(text)
            except (ToolError, NonsenseError) as error:
                words = error.message if isinstance(error, ToolError) else f"podman: {error}"
                findings.append(Finding(words, "see: podman machine inspect"))
        found = (_found(each, sockets.get(each.name, "")) for each in machines)
        return Sighting(tuple(found), tuple(findings))


def parse_machines(text: bytes) -> list[_Machine]:
    """The output of `podman machine list --format json`. Raises NonsenseError."""
    return json_value(text, list[_Machine])


def parse_sockets(text: bytes) -> dict[str, str]:
    """Name to DOCKER_HOST, of the output of `podman machine inspect`. Raises NonsenseError."""
    return {
        each.name: _docker_host(each.connection_info)
        for each in json_value(text, list[_Details])
        if each.connection_info is not None
    }


def _docker_host(connection: _Connection) -> str:
    pipe, socket = connection.podman_pipe, connection.podman_socket
    if pipe is not None and pipe.path:
        return "npipe://" + pipe.path.replace("\\", "/")
    return f"unix://{socket.path}" if socket is not None and socket.path else ""


def _found(machine: _Machine, docker_host: str) -> Found:
    name, port = machine.name, machine.port
    way = SshDestination(
        LOOPBACK,
        user=machine.remote_username,
        port=port,
        identity=machine.identity_path,
        is_own=True,
    )
    return Found(
        name="podman" if name == DEFAULT_MACHINE else f"podman-{name}",
        kind="podman",
        state=_state(machine),
        way=way if port else None,
        docker_host=docker_host,
        own_ports=frozenset({("tcp", port)}) if port else frozenset(),
        declined="" if port else "its Podman does not say how to log in; Podman 4 or newer does",
        lifecycle=Lifecycle(
            start=("podman", "machine", "start", name),
            stop=("podman", "machine", "stop", name),
            abandon=("podman", "machine", "stop", name),
        ),
    )


def _state(machine: _Machine) -> MachineState:
    if machine.starting:
        return "starting"
    return "running" if machine.running else "stopped"
