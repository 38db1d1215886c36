"""A daemon whose agent's port anybody in the machine can reach, and whose secrets the test knows.

`python -m tests.integration.open_daemon --ready-fd N`, as `desktop.daemon`. It stands for machines
that SSH reaches without forwarding of Unix sockets: there the agent listens on the machine's
loopback, where every host-networked container comes from the right address.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from desktop.daemon.__main__ import main
from desktop.machines import registry
from desktop.machines.doors import TcpDoor, TcpOrder
from desktop.machines.machine import AgentHandle
from desktop.machines.sandbox import Sandbox
from desktop.transports.tcp import TcpTransport

__all__ = ["PORTS_NAME", "SECRETS_NAME", "OpenSandbox"]

SECRETS_NAME: Final = "secrets"
PORTS_NAME: Final = "agent-ports"
"""Files in the folder of logs: a line for each agent."""


class OpenSandbox(Sandbox):
    """See the module."""

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        machine, _desktop = self.addresses()
        process, opened = await self.launch(secret, TcpOrder(machine), TcpDoor)
        _note(self.log.parent / SECRETS_NAME, secret.hex())
        _note(self.log.parent / PORTS_NAME, " ".join(map(str, (machine, *opened.ports))))
        return AgentHandle(process, TcpTransport(machine, *opened.ports))


def _note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    vars(registry)["Sandbox"] = OpenSandbox
    sys.exit(main())
