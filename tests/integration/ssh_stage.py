"""A Samehost that is attached over SSH to the sandbox, which an sshd in it makes such a machine.

The agent, the containers and their engine are the sandbox's; but Samehost knows only a server to
log in to. Counterparts: `ssh_server.py`, `samehost.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.integration.conftest import SandboxHome
from tests.integration.samehost import Samehost, until
from tests.integration.ssh_server import SshServer, ssh_server

__all__ = ["PID_FOLLOWS", "SshSamehost", "attached_over_ssh", "server_in"]

PID_FOLLOWS: Final = ("setpriv", "--pdeathsig", "KILL")
"""What runs in the sandbox ends with what brought it there."""


class SshSamehost(Samehost):
    """One whose machine is a server; containers are started without a log-in for each."""

    def __init__(self, sandbox: SandboxHome, server: SshServer, user: str = "root") -> None:
        super().__init__()
        self.server = server
        self.machine = server.name(user)
        self._sandbox = sandbox
        server.add_to_path(self.environment)

    def docker(self, *arguments: str, text: str = "") -> str:
        """The docker command on the sandbox, stripped."""
        assert not text
        return self._sandbox.docker(*arguments).stdout.strip()

    def up(self) -> None:
        """Switched on and attached."""
        settings = {"hostNetworkingEnabled": True}
        (self.home / "settings.json").write_text(json.dumps(settings))
        self.run("up", "--machine", self.machine)

    def agents(self) -> list[int]:
        """The agents in the machine, of whichever Samehost, as this computer sees them."""
        network = os.readlink(f"/proc/{self._sandbox.sandbox.pid}/ns/net")
        found = _processes("-I\0/proc/self/fd/", "\0samehost-agent\0")
        return [pid for pid in found if _network_of(pid) == network]

    def streams(self) -> int:
        """Descriptors of its connection: one for each stream, and some more."""
        [master] = _processes("ssh\0", "\0-M\0", str(self.home))
        return len(os.listdir(f"/proc/{master}/fd"))

    def connections(self) -> list[int]:
        """Its ssh(1) processes on this computer."""
        return _processes("ssh\0", str(self.home))


def _network_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return "gone"


def _processes(*words: str) -> list[int]:
    """Processes whose command line, with zeros between its words, has all these."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            if entry.name.isdigit() and all(word in line for word in words):
                found.append(int(entry.name))
    return sorted(found)


@contextlib.contextmanager
def server_in(sandbox: SandboxHome) -> Iterator[SshServer]:
    """An sshd in the sandbox, at the address of the sandbox."""
    machine, _here = sandbox.sandbox.addresses()
    with ssh_server(machine, inside=sandbox.sandbox.command(*PID_FOLLOWS)) as server:
        yield server


@contextlib.contextmanager
def attached_over_ssh(
    sandbox: SandboxHome, server: SshServer, user: str = "root"
) -> Iterator[SshSamehost]:
    """A Samehost that is up and on. Afterwards nothing of it is left, here or there."""
    samehost = SshSamehost(sandbox, server, user)
    others = set(samehost.agents())
    try:
        samehost.up()
        yield samehost
    finally:
        samehost.remove()
    until(lambda: samehost.connections() == [], "its connections to end")
    until(lambda: set(samehost.agents()) <= others, "its agent to end")
