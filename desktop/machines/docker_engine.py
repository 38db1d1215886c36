"""A machine of which there is nothing but its container engine: a Docker context with a socket.

Rules: the agent runs in a container of the engine (`helper_container.py`), streams go over its
standard input and output. The docker command of this computer speaks with the engine. Such a
machine is not ours: whoever made it starts and stops it.

Limits: `docker_host` is a socket of this computer; POSIX (`process.py`).
"""

from __future__ import annotations

import shlex
from typing import Final

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.doors import StdioOrder
from desktop.machines.helper_container import find_helper
from desktop.machines.local_shell import LocalShell
from desktop.machines.machine import AgentHandle, Machine, MachineState, Progress
from desktop.machines.remote import start_agent
from desktop.machines.shell import ShellError

__all__ = ["DockerMachine"]

ANSWER_SECONDS: Final = 10.0
"""How long an engine may take to say its version."""


class DockerMachine(Machine):
    """See the module. `docker_host` is as in DOCKER_HOST."""

    kind = "docker"

    def __init__(self, name: str, docker_host: str, *, may_use_ebpf: bool = True) -> None:
        super().__init__(name)
        self._docker_host = docker_host
        self._may_use_ebpf = may_use_ebpf
        self._shell = LocalShell()

    @property
    def _engine(self) -> str:
        return f"docker --host {shlex.quote(self._docker_host)}"

    def docker_host(self) -> str:
        """See `Machine`."""
        return self._docker_host

    async def state(self) -> MachineState:
        """See `Machine`. One whose engine does not answer counts as stopped."""
        try:
            await self._look()
        except MachineUnreachableError:
            return "stopped"
        return "running"

    async def start(self, progress: Progress) -> None:
        """See `Machine`. Raises MachineUnreachableError if the engine does not answer."""
        progress(f"looking at the engine of {self.name}")
        await self._look()

    async def stop(self, progress: Progress) -> None:  # noqa: ARG002 - nothing goes on
        """See `Machine`. Raises UsageError."""
        raise UsageError(f"{self.name} was not started by Samehost", "stop it as it was started")

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        helper = await find_helper(self._shell, (self._engine,))
        return await start_agent(
            self._shell, StdioOrder(), secret, self._may_use_ebpf, script=helper.script()
        )

    async def _look(self) -> None:
        """Raises MachineUnreachableError unless the engine answers."""
        question = f"exec {self._engine} version --format '{{{{.Server.Os}}}}'"
        try:
            done = await self._shell.run(question, seconds=ANSWER_SECONDS)
        except ShellError as error:
            raise MachineUnreachableError(error.message, self._remedy) from error
        if done.status:
            said = done.errors.decode(errors="replace").strip()
            raise MachineUnreachableError(
                f"the engine of {self.name} does not answer: {said}", self._remedy
            )

    @property
    def _remedy(self) -> str:
        return f"see that this works: {self._engine} version; it needs the docker command"
