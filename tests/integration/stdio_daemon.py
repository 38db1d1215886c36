"""A daemon whose sandboxes take streams in the agent's standard input and output only.

`python -m tests.integration.stdio_daemon --ready-fd N`, as `desktop.daemon`. It stands for machines
that offer nothing else: `docker exec -i`, `wsl.exe --exec`.
"""

from __future__ import annotations

import sys

from desktop.daemon.__main__ import main
from desktop.machines import registry
from desktop.machines.doors import StdioDoor, StdioOrder
from desktop.machines.machine import AgentHandle
from desktop.machines.sandbox import Sandbox
from desktop.transports.stdio import StdioTransport

__all__ = ["StdioSandbox"]


class StdioSandbox(Sandbox):
    """See the module."""

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        process, _ = await self.launch(secret, StdioOrder(), StdioDoor)
        return AgentHandle(process, StdioTransport(process))


if __name__ == "__main__":
    vars(registry)["Sandbox"] = StdioSandbox
    sys.exit(main())
