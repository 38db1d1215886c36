"""Lima: `limactl list --json`, and the ssh_config file that it writes for each instance.

Layout: one JSON object a line (lima `pkg/limatype/lima_instance.go`, `pkg/store/instance.go`); the
instance's `ssh.config` knows it as its `hostname`, which is `lima-NAME` with dashes for dots and
underscores (`pkg/instance/hostname`, `pkg/sshutil/format.go`). The socket of its engine is one of
its own forwarded sockets, if its template has one. What colima makes is left to `colima.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

import msgspec

from desktop.findings import Finding
from desktop.machines.found.finder import Finder, json_lines, usable
from desktop.machines.found.model import Found, Lifecycle, Sighting
from desktop.machines.machine import MachineState
from desktop.machines.ssh_destination import SshDestination

__all__ = ["STATES", "LimaFinder", "parse_instances"]

PREFIX: Final = "lima-"
SSH_CONFIG: Final = "ssh.config"
ENGINE_SOCKETS: Final = ("docker.sock", "podman.sock")

STATES: Final[Mapping[str, MachineState]] = {
    "Running": "running",
    "Stopped": "stopped",
    "Uninitialized": "stopped",
    "Installing": "starting",
    "Broken": "failed",
}
"""Lima's words (`limatype.Status`), which colima passes on."""


class _PortForward(msgspec.Struct, rename="camel"):
    guest_socket: str = ""
    host_socket: str = ""


class _Config(msgspec.Struct, rename="camel"):
    port_forwards: list[_PortForward] = []


class _Instance(msgspec.Struct):
    name: str
    status: str = ""
    dir: str = ""
    hostname: str = ""
    ssh_local_port: int = msgspec.field(name="sshLocalPort", default=0)
    ssh_config_file: str = msgspec.field(name="sshConfigFile", default="")
    config: _Config | None = None


class LimaFinder(Finder):
    """Instances of the Lima in LIMA_HOME, or ~/.lima."""

    program = "limactl"

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name.startswith(PREFIX)

    async def look(self) -> Sighting:
        """See `Finder`."""
        return parse_instances(await self.tools.ask(self.program, "list", "--json"))


def parse_instances(text: bytes) -> Sighting:
    """The instances in the output of `limactl list --json`."""
    instances, problem = json_lines(text, _Instance)
    good, findings = usable(instances, LimaFinder.program)
    if problem:
        findings.append(Finding(f"limactl: {problem}", "see: limactl list"))
    return Sighting(tuple(_found(each) for each in good), tuple(findings))


def _found(instance: _Instance) -> Found:
    name = instance.name
    port = instance.ssh_local_port
    config = instance.ssh_config_file or str(PurePath(instance.dir) / SSH_CONFIG)
    host = instance.hostname or PREFIX + name.replace(".", "-").replace("_", "-")
    return Found(
        name=PREFIX + name,
        kind="lima",
        state=STATES.get(instance.status, "failed"),
        way=SshDestination(host, config=config, is_own=True),
        docker_host=_engine(instance.config),
        own_ports=frozenset({("tcp", port)}) if port else frozenset(),
        lifecycle=Lifecycle(
            start=("limactl", "start", "--tty=false", name),
            stop=("limactl", "stop", name),
            abandon=("limactl", "stop", "--force", name),
        ),
    )


def _engine(config: _Config | None) -> str:
    for forward in config.port_forwards if config else ():
        if forward.host_socket and PurePath(forward.guest_socket).name in ENGINE_SOCKETS:
            return f"unix://{forward.host_socket}"
    return ""
