"""This very computer as a machine: what a shell promises, without a connection.

For tests, and for an agent beside the desktop. Counterpart: `tests/contract/test_shells.py`.
"""

from __future__ import annotations

from desktop.machines.doors import OpenDoor, StdioOrder, TcpDoor, TcpOrder, UnixDoor, UnixOrder
from desktop.machines.process import ChildProcess, Process
from desktop.machines.shell import Shell
from desktop.transports.tcp import TcpTransport
from desktop.transports.transport import Transport, TransportError
from desktop.transports.unix import UnixTransport

__all__ = ["LocalShell"]


class LocalShell(Shell):
    """See the module."""

    name = "local"
    doors = (UnixOrder(), TcpOrder("127.0.0.1"), StdioOrder())

    async def start(self, script: str) -> Process:
        """See `Shell`."""
        return await ChildProcess.start(["sh", "-c", script])

    async def forward(self, door: OpenDoor) -> Transport:
        """See `Shell`."""
        if isinstance(door, UnixDoor):
            return UnixTransport(door.path)
        if isinstance(door, TcpDoor):
            return TcpTransport("127.0.0.1", *door.ports)
        raise TransportError(f"no way to {door}")

    async def aclose(self) -> None:
        """See `Shell`; there is nothing to end."""
