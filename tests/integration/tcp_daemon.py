"""A daemon whose sandboxes take streams over TCP, on the cable between machine and desktop.

`python -m tests.integration.tcp_daemon --ready-fd N`, as `desktop.daemon`. It stands for machines
whose own network this computer reaches.
"""

from __future__ import annotations

import sys

from desktop.daemon.__main__ import main
from desktop.machines import registry
from desktop.machines.doors import TcpDoor, TcpOrder
from desktop.machines.machine import AgentHandle
from desktop.machines.sandbox import Sandbox
from desktop.transports.tcp import TcpTransport

__all__ = ["TcpSandbox"]


class TcpSandbox(Sandbox):
    """See the module."""

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        machine, desktop = self.addresses()
        process, opened = await self.launch(secret, TcpOrder(machine, peer=desktop), TcpDoor)
        return AgentHandle(process, TcpTransport(machine, *opened.ports))


if __name__ == "__main__":
    vars(registry)["Sandbox"] = TcpSandbox
    sys.exit(main())
