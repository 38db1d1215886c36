"""SSH servers as machines: `ssh:user@host:port`.

Rules: nothing is looked up or connected to until it is needed. OpenSSH's client goes there, or
paramiko where that is not installed. The engine is reached by the docker command itself, which logs
in by ssh(1) (DOCKER_HOST=ssh://…).
"""

from __future__ import annotations

from typing import Final

from desktop.machines.openssh import OpenSshShell
from desktop.machines.openssh.client import is_installed
from desktop.machines.remote import RemoteMachine
from desktop.machines.shell import Shell
from desktop.machines.ssh_destination import NAME_PREFIX, SshDestination
from desktop.paths import Paths

__all__ = ["SSH_KIND", "is_ssh_name", "shell_to", "ssh_machine"]

SSH_KIND: Final = "ssh"


def is_ssh_name(name: str) -> bool:
    """True for names that mean an SSH server, well or badly written."""
    return name.startswith(NAME_PREFIX)


def ssh_machine(name: str, paths: Paths, *, may_use_ebpf: bool = True) -> RemoteMachine:
    """The machine called `name`. Raises UsageError."""
    destination = SshDestination.parse(name.removeprefix(NAME_PREFIX))
    return RemoteMachine(
        name,
        SSH_KIND,
        shell_to(destination, paths),
        destination.docker_host,
        may_use_ebpf=may_use_ebpf,
    )


def shell_to(destination: SshDestination, paths: Paths) -> Shell:
    """How programs are run there, with what this computer has."""
    if is_installed():
        return OpenSshShell(destination, paths.runtime)
    from desktop.machines.paramiko import ParamikoShell  # takes 150 ms

    return ParamikoShell(destination)
