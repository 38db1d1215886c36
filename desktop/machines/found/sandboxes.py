"""Sandboxes: those with a state folder, and, wherever one can be made, the default one and those
that the settings name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from desktop.machines.found.finder import Finder
from desktop.machines.found.model import Found, Sighting
from desktop.machines.found.tools import Tools
from desktop.machines.sandbox import Sandbox
from desktop.paths import Paths

__all__ = ["DEFAULT_SANDBOX", "SandboxFinder", "has_namespaces"]

DEFAULT_SANDBOX: Final = "sandbox"
NAMESPACES: Final = "/proc/self/ns/net"


def has_namespaces(proof: str = NAMESPACES) -> bool:
    """True if this computer can have sandboxes: it has Linux namespaces (namespaces(7))."""
    return os.name == "posix" and Path(proof).exists()


class SandboxFinder(Finder):
    """The sandboxes of one Samehost."""

    program = "sandbox"

    def __init__(self, tools: Tools, paths: Paths, chosen: Iterable[str] = ()) -> None:
        super().__init__(tools)
        self._paths = paths
        self._chosen = frozenset(filter(Sandbox.is_name, chosen))

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return Sandbox.is_name(name)

    def names(self) -> list[str]:
        """All that have a state folder; if they can be, the default and the chosen ones. Sorted."""
        folder = self._paths.machine(DEFAULT_SANDBOX).parent
        try:
            names = {name for name in os.listdir(folder) if Sandbox.is_name(name)}
        except OSError:
            names = set()
        if has_namespaces():
            names |= {DEFAULT_SANDBOX, *self._chosen}
        return sorted(names)

    async def look(self) -> Sighting:
        """See `Finder`."""
        found = []
        for machine in (Sandbox(name, self._paths) for name in self.names()):
            state, engine = await machine.state(), machine.docker_host()
            found.append(Found(machine.name, machine.kind, state, docker_host=engine))
        return Sighting(tuple(found))
