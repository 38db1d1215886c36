"""A Samehost of the tests' own that is attached to a VM over SSH, as a person would have it.

    samehost up --machine ssh:vm      with the VM in the SSH configuration, and a key that lets in

Containers are started by the engines' own commands in the VM.

Counterparts: `machine` is the VM; `tests.integration.samehost` drives the command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from tests.e2e.vm.machine import Vm
from tests.e2e.vm.ssh import ALIAS, HOST, USER_ALIAS
from tests.integration.samehost import IMAGE, Samehost, until

__all__ = ["ADDRESS", "NAME", "PARAMIKO", "USER", "Attached", "Way", "attached", "eventually"]

PATIENCE_SECONDS: Final = 120.0
"""Until a story gives up waiting: an emulated computer needs ten times as long as others."""

Way = Literal["OpenSSH, address", "OpenSSH, name", "OpenSSH, user", "paramiko, name"]
"""How to get into a VM: by which program, and as whom; root but for `USER`."""

ADDRESS: Final = "OpenSSH, address"
NAME: Final = "OpenSSH, name"
USER: Final = "OpenSSH, user"
PARAMIKO: Final = "paramiko, name"


class Attached(Samehost):
    """See the module."""

    def __init__(self, vm: Vm, way: Way) -> None:
        super().__init__()
        self.vm, self.way = vm, way
        machines: dict[Way, str] = {
            ADDRESS: f"ssh:root@{HOST}:{vm.port}",
            NAME: f"ssh:{ALIAS}",
            USER: f"ssh:{USER_ALIAS}",
            PARAMIKO: f"ssh:{ALIAS}",
        }
        self.machine = machines[way]
        self.environment["PATH"] = f"{vm.programs}:{os.environ['PATH']}"
        if way == PARAMIKO:
            # There is no ssh(1); the configuration is where a person's is.
            self.environment.update(
                {"PATH": str(self.home / "no-programs"), "HOME": str(self.home)}
            )
            (self.home / ".ssh").mkdir(mode=0o700)
            shutil.copy(vm.ssh_config, self.home / ".ssh/config")

    def docker(self, *arguments: str, text: str = "") -> str:
        """A command of Docker's, run in the VM; what it said, stripped."""
        return self.vm.run(shlex.join(["docker", *arguments]), text.encode())

    @contextlib.contextmanager
    def podman(self, name: str, *command: str) -> Iterator[str]:
        """A host-networked container of Podman's; its id."""
        options = ["--detach", "--network=host", f"--name={name}"]
        identity = self.vm.run(shlex.join(["podman", "run", *options, IMAGE, *command]))
        try:
            yield identity
        finally:
            self.vm.run(f"podman rm --force --time=0 {identity}")

    def shown(self, port: int, origin: str = "machine") -> list[tuple[str, str]]:
        """Name of the container and state, of the rows of one real listener's port."""
        rows = self.rows(port, origin)
        return [((row["container"] or {}).get("name", ""), row["state"]) for row in rows]

    def children(self, *words: str) -> list[int]:
        """The daemon's child processes whose command lines have all these words."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = (entry / "status").read_text().partition("\nPPid:")[2].split()[0]
                line = (entry / "cmdline").read_text().split("\0")
                if int(parent) == self.daemon() and all(word in line for word in words):
                    found.append(int(entry.name))
        return found

    def connections(self) -> list[int]:
        """The processes of OpenSSH's client that hold a connection to the VM."""
        return self.children("-M")


@contextlib.contextmanager
def attached(vm: Vm, way: Way = NAME) -> Iterator[Attached]:
    """One that is up and on."""
    samehost = Attached(vm, way)
    try:
        chosen = {"hostNetworkingEnabled": True, "machine": samehost.machine}
        (samehost.home / "settings.json").write_text(json.dumps(chosen))
        samehost.run("up")
        yield samehost
    finally:
        samehost.remove()


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """`until`, with the patience that an emulated computer needs."""
    return until(condition, what, patience=PATIENCE_SECONDS)
