"""Which machines there are, by name. Today: sandboxes."""

from __future__ import annotations

from typing import Final

from desktop.errors import UsageError
from desktop.machines.machine import Machine
from desktop.machines.sandbox import Sandbox
from desktop.paths import Paths
from desktop.settings.values import DEFAULT_SANDBOX_NETWORK

__all__ = ["DEFAULT_MACHINE", "Registry"]

DEFAULT_MACHINE: Final = "sandbox"


class Registry:
    """The machines of one Samehost. It holds nothing open."""

    def __init__(self, paths: Paths, sandbox_network: str = DEFAULT_SANDBOX_NETWORK) -> None:
        self._paths = paths
        self._sandbox_network = sandbox_network

    def names(self) -> list[str]:
        """The default machine and all that have a state folder, sorted."""
        folder = self._paths.machine(DEFAULT_MACHINE).parent
        try:
            found = {entry.name for entry in folder.iterdir() if Sandbox.is_name(entry.name)}
        except OSError:
            found = set()
        return sorted(found | {DEFAULT_MACHINE})

    def get(self, name: str) -> Machine:
        """The machine called `name`; a sandbox need not be there yet. Raises UsageError."""
        if Sandbox.is_name(name):
            return Sandbox(name, self._paths, self._sandbox_network)
        raise UsageError(
            f"unknown machine: {name}",
            f"known: {', '.join(self.names())}; a further sandbox is called {DEFAULT_MACHINE}-NAME,"
            " with up to 8 letters (a-z) and digits",
        )
