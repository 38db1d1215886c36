"""What a machine is to the daemon: something to start, stop and run an agent in.

One file per kind of machine implements `Machine`; `registry.py` knows them by name. The agent
inside knows nothing of the kind.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.examination import Step
from desktop.machines.process import Process
from desktop.tasks import uninterrupted
from desktop.transports.probe import probe
from desktop.transports.transport import Transport
from link.handshake import SECRET_SIZE

__all__ = [
    "AgentHandle",
    "AgentTrial",
    "Machine",
    "MachineState",
    "Progress",
    "WindowsContainersError",
    "end_agent",
]

GOODBYE_SECONDS: Final = 3.0
"""How long an agent may take to end."""

log = logging.getLogger(__name__)

MachineState = str
"""One of `desktop.api.states.MACHINE_STATES`; "unknown" is a machine that is some other
computer's affair."""

Progress = Callable[[str], None]
"""Called with one short line for a person, such as "starting the Docker Engine"."""


@dataclass(frozen=True, slots=True)
class AgentHandle:
    """A started agent: its process, seen from here, and how streams to it are opened.

    The end of the process's standard input ends the agent.
    """

    process: Process
    transport: Transport


class WindowsContainersError(UsageError):
    """The machine's engine runs containers that have no host networking to share."""

    is_lasting = True

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the engine of {name} runs Windows containers; only Linux containers are supported",
            "switch it to Linux containers, or use another machine: samehost machine use NAME",
        )


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

    def steps(self) -> list[Step]:
        """What `samehost machine doctor` looks at, up to an agent that answers."""

        async def state() -> str:
            state = await self.state()
            if state != "running":
                raise MachineUnreachableError(
                    f"it is {state}", f"start it: samehost machine start {self.name}"
                )
            return state

        return [Step("state", state, is_way=True), *self.agent_steps()]

    def agent_steps(self) -> list[Step]:
        """The last of them: an agent of its own, which ends at once."""
        trial = AgentTrial(self)
        return [Step("agent", trial.start), Step("handshake", trial.greet_and_end)]

    async def aclose(self) -> None:  # noqa: B027 - most hold nothing
        """Free what is held on this computer, such as connections; the machine itself runs on.

        May be called twice; what is needed again is made anew.
        """


class AgentTrial:
    """An agent that is started to see that it can be."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._secret = os.urandom(SECRET_SIZE)
        self._handle: AgentHandle | None = None

    async def start(self) -> str:
        """Start it. Raises what is wrong."""
        self._handle = await self._machine.start_agent(self._secret)
        return f"starts; streams by {self._handle.transport.name}"

    async def greet_and_end(self) -> str:
        """Hear from it, and end it. Raises TransportError."""
        handle = self._handle
        if handle is None:
            raise RuntimeError("it was not started")
        try:
            began = time.monotonic()
            await probe(handle.transport)
            return f"answers in {(time.monotonic() - began) * 1000:.1f} ms"
        finally:
            await uninterrupted(end_agent(handle.process, handle.transport))


async def end_agent(process: Process, transport: Transport | None) -> None:
    """End an agent's standard input, which ends it; kill it if it does not.

    Must run to its end: see `desktop.tasks.uninterrupted`.
    """
    if transport is not None:
        await transport.aclose()
    process.end_input()
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("the agent did not end by itself and is killed")
        process.kill()
        await process.wait()
