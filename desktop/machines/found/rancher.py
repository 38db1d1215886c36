"""Rancher Desktop: `rdctl list-settings` answers while the application runs.

Its machine is the Lima instance `0` in a Lima home of its own (rancher-desktop
`src/go/rdctl/pkg/paths`, `pkg/lima/name.go`), which knows it as `lima-0`; on Windows it is the WSL
distribution `rancher-desktop`. Both folders are looked at, wherever this runs: the one that is not
of this system is not there. The engine's socket is `~/.rd/docker.sock` where the engine is moby
(`pkg/rancher-desktop/backend/lima.ts`).

Limit: the application is started and stopped by its own window, or by rdctl, which needs its
settings to be complete; nothing of that is done here. On Windows it is never attached: its
containers are in namespaces within the distribution (`assets/scripts/wsl-exec`, "in the default
namespace" of rancher-desktop #4112), and what wsl.exe starts is outside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from desktop.machines.found.colima import ssh_port
from desktop.machines.found.finder import Finder, json_value
from desktop.machines.found.model import Found, Lifecycle, Sighting, Way, WslWay
from desktop.machines.found.tools import ToolError, ToolTrouble
from desktop.machines.machine import MachineState
from desktop.machines.ssh_destination import SshDestination

__all__ = ["DISTRIBUTION", "NAME", "RancherFinder"]

NAME: Final = "rancher"
INSTANCE: Final = "0"
HOST: Final = "lima-0"
DISTRIBUTION: Final = "rancher-desktop"
MOBY: Final = "moby"

ON_WINDOWS: Final = (
    "samehost cannot get into Rancher Desktop on Windows yet: its containers have a network of"
    " their own in its WSL distribution"
)
NO_WAY: Final = "its machine is not where Rancher Desktop keeps it"

NOT_RUNNING: Final = ("connection refused", "rd-engine.json", "actively refused")
"""What rdctl says when the application does not run: nobody listens, or there is no file that says
where (rancher-desktop `src/go/rdctl/pkg/client/handle_*.go`, `pkg/config/config.go`)."""


class _Engine(msgspec.Struct):
    name: str = MOBY


class _Settings(msgspec.Struct):
    container_engine: _Engine = msgspec.field(name="containerEngine", default_factory=_Engine)


class RancherFinder(Finder):
    """The machine of the person's Rancher Desktop."""

    program = "rdctl"

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name == NAME

    async def look(self) -> Sighting:
        """See `Finder`."""
        if self.tools.where(self.program) is None:
            return Sighting()
        try:
            settings = json_value(await self.tools.ask(self.program, "list-settings"), _Settings)
        except ToolError as error:
            if error.trouble is not ToolTrouble.FAILED or not _means_not_running(error.said):
                raise
            way = self._way()
            return Sighting((self._found("stopped", way, MOBY),) if way else ())
        return Sighting((self._found("running", self._way(), settings.container_engine.name),))

    def _found(self, state: MachineState, way: Way | None, engine: str) -> Found:
        socket = self.tools.home / ".rd" / "docker.sock"
        port = ssh_port(Path(way.config)) if isinstance(way, SshDestination) else 0
        return Found(
            name=NAME,
            kind="rancher",
            state=state,
            way=way,
            docker_host=f"unix://{socket}"
            if engine == MOBY and isinstance(way, SshDestination)
            else "",
            own_ports=frozenset({("tcp", port)}) if port else frozenset(),
            declined=ON_WINDOWS if isinstance(way, WslWay) else "" if way else NO_WAY,
            lifecycle=Lifecycle(advice="start or stop Rancher Desktop by its window"),
        )

    def _way(self) -> Way | None:
        for home in self._lima_homes():
            config = home / INSTANCE / "ssh.config"
            if config.is_file():
                return SshDestination(HOST, config=str(config), is_own=True)
        data = self.tools.environment.get("LOCALAPPDATA")
        is_there = data is not None and (Path(data) / DISTRIBUTION / "distro").is_dir()
        return WslWay(DISTRIBUTION) if is_there else None

    def _lima_homes(self) -> Iterator[Path]:
        home = self.tools.home
        yield home / "Library" / "Application Support" / "rancher-desktop" / "lima"
        data = self.tools.environment.get("XDG_DATA_HOME")
        yield (Path(data) if data else home / ".local" / "share") / "rancher-desktop" / "lima"


def _means_not_running(said: str) -> bool:
    return any(words in said.lower() for words in NOT_RUNNING)
