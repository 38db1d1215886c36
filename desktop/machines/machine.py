"""What a machine is to the daemon: something to start, stop and run an agent in.

One file per kind of machine implements `Machine`; `registry.py` knows them by name. The agent
inside knows nothing of the kind.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

from desktop.machines.process import Process
from desktop.transports.transport import Transport

__all__ = ["AgentHandle", "Machine", "MachineState", "Progress"]

MachineState = str
"""One of "stopped", "starting", "running", "failed" (the daemon adds the link's own states)."""

Progress = Callable[[str], None]
"""Called with one short line for a person, such as "starting the Docker Engine"."""


@dataclass(frozen=True, slots=True)
class AgentHandle:
    """A started agent: its process, seen from here, and how streams to it are opened.

    The end of the process's standard input ends the agent.
    """

    process: Process
    transport: Transport


class Machine(abc.ABC):
    """One machine. Methods raise `desktop.errors` errors with a remedy; all may be cancelled.

    Attributes:
        kind: such as "sandbox" or "ssh".
        is_ours: Samehost has made it, and stops it when it ends itself.
        own_ports: (protocol, port) of this computer that lead into the machine for its own use,
            such as its SSH server's; they are never mirrored.
    """

    kind: str
    is_ours: bool = False
    own_ports: frozenset[tuple[str, int]] = frozenset()

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    async def state(self) -> MachineState:
        """What the machine does now; never raises."""

    @abc.abstractmethod
    async def start(self, progress: Progress) -> None:
        """Boot until the engine answers. A running machine is left as it is.

        Cancelled or failed, it leaves nothing behind.
        """

    @abc.abstractmethod
    async def stop(self, progress: Progress) -> None:
        """End it and remove all it left on this computer. A stopped one is fine."""

    @abc.abstractmethod
    def docker_host(self) -> str:
        """The value of DOCKER_HOST for its engine, such as "unix:///run/…/docker.sock"."""

    @abc.abstractmethod
    async def start_agent(self, secret: bytes) -> AgentHandle:
        """Start the agent in the machine and wait until it takes streams.

        `secret` reaches the agent on its standard input only. Raises MachineUnreachableError.
        """

    async def aclose(self) -> None:  # noqa: B027 - most hold nothing
        """Free what is held on this computer, such as connections; the machine itself runs on.

        May be called twice; what is needed again is made anew.
        """
