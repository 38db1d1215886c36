"""Which machines there are, by name: sandboxes, and SSH servers."""

from __future__ import annotations

from typing import Final

from desktop.errors import UsageError
from desktop.machines.machine import Machine
from desktop.machines.sandbox import Sandbox
from desktop.machines.ssh import is_ssh_name, ssh_machine
from desktop.paths import Paths
from desktop.settings.values import Settings

__all__ = ["DEFAULT_MACHINE", "Registry"]

DEFAULT_MACHINE: Final = "sandbox"


class Registry:
    """The machines of one Samehost, by these settings. It holds nothing open."""

    def __init__(self, paths: Paths, settings: Settings | None = None) -> None:
        self._paths = paths
        self._settings = settings or Settings()

    def names(self) -> list[str]:
        """The default machine, all that have a state folder, and that of the settings; sorted."""
        folder = self._paths.machine(DEFAULT_MACHINE).parent
        try:
            found = {entry.name for entry in folder.iterdir() if Sandbox.is_name(entry.name)}
        except OSError:
            found = set()
        chosen = self._settings.machine or ""
        return sorted(found | {DEFAULT_MACHINE, *([chosen] if is_ssh_name(chosen) else [])})

    def get(self, name: str) -> Machine:
        """The machine called `name`; a sandbox need not be there yet. Raises UsageError."""
        may_use_ebpf = self._settings.ebpf == "auto"
        if is_ssh_name(name):
            return ssh_machine(name, self._paths, may_use_ebpf=may_use_ebpf)
        if Sandbox.is_name(name):
            return Sandbox(
                name,
                self._paths,
                self._settings.sandbox_network,
                may_use_ebpf=may_use_ebpf,
            )
        raise UsageError(
            f"unknown machine: {name}",
            f"known: {', '.join(self.names())}; a further sandbox is called {DEFAULT_MACHINE}-NAME,"
            " with up to 8 letters (a-z) and digits, an SSH server ssh:USER@HOST or"
            " ssh:USER@HOST:PORT",
        )
