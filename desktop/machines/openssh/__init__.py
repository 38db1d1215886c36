"""Machines reached with the OpenSSH client of this computer.

OpenSshShell ─▶ Master (one connection, a child process) ─▶ sshd
     └─ programs and forwards are clients of it, by its control socket (ssh(1), -S)
"""

from desktop.machines.openssh.folder import sweep
from desktop.machines.openssh.shell import RUNTIME_NAME, OpenSshShell

__all__ = ["RUNTIME_NAME", "OpenSshShell", "sweep"]
