"""Colima: `colima list --json`, one object a line (colima `cmd/list.go`, `limautil/instance.go`).

A profile is a Lima instance called `colima` (profile `default`) or `colima-PROFILE`, in a Lima home
of colima's own (`config/files.go`, `config/profile.go`), whose `ssh.config` knows it as
`lima-colima…`. The engine's socket is in the profile's folder (`environment/container/docker`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from desktop.findings import Finding
from desktop.machines.found.finder import Finder, NonsenseError, json_lines, read_small, usable
from desktop.machines.found.lima import STATES
from desktop.machines.found.model import Found, Lifecycle, Sighting
from desktop.machines.ssh_destination import SshDestination

__all__ = ["ColimaFinder", "ssh_port"]

DEFAULT_PROFILE: Final = "default"
PORT_LINE: Final = re.compile(rb"^[ \t]*Port[ \t]+(\d{1,5})[ \t\r]*$", re.MULTILINE)


class _Profile(msgspec.Struct):
    name: str
    status: str = ""
    runtime: str = ""


class ColimaFinder(Finder):
    """Profiles of the person's colima."""

    program = "colima"

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name == "colima" or name.startswith("colima-")

    async def look(self) -> Sighting:
        """See `Finder`."""
        text = await self.tools.ask(self.program, "list", "--json")
        profiles, problem = json_lines(text, _Profile)
        good, findings = usable(profiles, self.program)
        if problem:
            findings.append(Finding(f"colima: {problem}", "see: colima list"))
        return Sighting(tuple(self._found(each) for each in good), tuple(findings))

    def _found(self, profile: _Profile) -> Found:
        name = profile.name
        machine = "colima" if name == DEFAULT_PROFILE else f"colima-{name}"
        config = self._ssh_config(machine)
        port = ssh_port(config)
        socket = self._home() / name / "docker.sock"
        return Found(
            name=machine,
            kind="colima",
            state=STATES.get(profile.status, "failed"),
            way=SshDestination(
                "lima-" + machine.replace(".", "-").replace("_", "-"),
                config=str(config),
                is_own=True,
            ),
            docker_host=f"unix://{socket}" if profile.runtime.startswith("docker") else "",
            own_ports=frozenset({("tcp", port)}) if port else frozenset(),
            lifecycle=Lifecycle(
                start=("colima", "start", "--profile", name),
                stop=("colima", "stop", "--profile", name),
                abandon=("colima", "stop", "--force", "--profile", name),
            ),
        )

    def _home(self) -> Path:
        """The first folder of colima's that is there; ~/.colima if none is."""
        return next((each for each in self._homes() if each.is_dir()), self.tools.home / ".colima")

    def _homes(self) -> Iterator[Path]:
        environment = self.tools.environment
        if environment.get("COLIMA_HOME"):
            yield Path(environment["COLIMA_HOME"])
        yield self.tools.home / ".colima"
        if environment.get("XDG_CONFIG_HOME"):
            yield Path(environment["XDG_CONFIG_HOME"]) / "colima"
        yield self.tools.home / ".config" / "colima"

    def _ssh_config(self, machine: str) -> Path:
        lima = self.tools.environment.get("LIMA_HOME")
        home = Path(lima) if lima else self._home() / "_lima"
        return home / machine / "ssh.config"


def ssh_port(config: Path) -> int:
    """The port in an ssh_config(5) file that Lima wrote; 0 if there is none."""
    try:
        found = PORT_LINE.search(read_small(config))
    except (OSError, NonsenseError):
        return 0
    return int(found[1]) if found else 0
