"""A daemon whose sandboxes take streams in the agent's standard input and output only.

`python -m tests.integration.stdio_daemon --ready-fd N`, as `desktop.daemon`. It stands for machines
that offer nothing else: `docker exec -i`, `wsl.exe --exec`.
"""

from __future__ import annotations

import asyncio
import sys

from desktop.daemon.__main__ import main
from desktop.machines import registry
from desktop.machines.agent_bundle import build_agent
from desktop.machines.doors import StdioDoor, StdioOrder
from desktop.machines.launch import Order, launch
from desktop.machines.machine import AgentHandle
from desktop.machines.process import ChildProcess
from desktop.machines.sandbox import Sandbox
from desktop.machines.sandbox.programs import environment
from desktop.transports.stdio import StdioTransport

__all__ = ["StdioSandbox"]


class StdioSandbox(Sandbox):
    """See the module."""

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        bundle = self.folder / "agent.pyz"
        await asyncio.to_thread(build_agent, bundle)
        python = ["/usr/bin/python3", "-I", str(bundle)]
        program = self.command("setpriv", "--pdeathsig", "KILL", *python)
        order = Order(secret.hex(), StdioOrder(), ["/run/docker.sock"], self._may_use_ebpf)
        process = await ChildProcess.start(program, environment=environment())
        await launch(process, order, StdioDoor)
        return AgentHandle(process, StdioTransport(process))


if __name__ == "__main__":
    vars(registry)["Sandbox"] = StdioSandbox
    sys.exit(main())
