"""Machines reached with the paramiko library: for where OpenSSH's client is not there.

    ParamikoShell ─▶ Connection (goes the way, logs in) ─▶ sshd
         ├─ programs, streams: a channel each
         └─ Pump (a thread that moves the bytes of all channels)

To import this takes 150 ms. Counterpart: `desktop/machines/openssh/`.
"""

from desktop.machines.paramiko.shell import ParamikoShell

__all__ = ["ParamikoShell"]
