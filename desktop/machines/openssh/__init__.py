"""Machines reached with the OpenSSH client of this computer.

OpenSshShell ─▶ Master (one connection, a child process) ─▶ sshd
     └─ programs and forwards are clients of it, by its control socket (ssh(1), -S)
"""

from desktop.machines.openssh.shell import OpenSshShell

__all__ = ["OpenSshShell"]
