"""A machine that a tool of this computer runs: the tool starts and stops it, and says what it does.

Rules: what the tool says is asked anew each time, since nobody tells us when it changes; a machine
that was started may have another SSH port. A start that fails or is cancelled is undone by the
tool, but only if the machine did not run before. How the agent gets in is another machine's affair,
made by `connect` from what was found. Counterparts: `found/` has the tools, `registry.py` makes
these, `remote.py` is what they lead into.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from desktop.errors import MachineUnreachableError, UsageError
from desktop.machines.examination import Step
from desktop.machines.found.finder import Finder
from desktop.machines.found.model import Found, Lifecycle
from desktop.machines.found.tools import ToolError
from desktop.machines.machine import (
    AgentHandle,
    Machine,
    MachineState,
    Progress,
    WindowsContainersError,
)
from desktop.tasks import uninterrupted

__all__ = ["ManagedMachine"]

ABANDON_SECONDS: Final = 60.0
"""How long a tool may take to end a machine whose start was cancelled."""

log = logging.getLogger(__name__)


class ManagedMachine(Machine):
    """One machine of a finder's, as it was `found` last. `connect` raises if there is no way in."""

    def __init__(self, found: Found, finder: Finder, connect: Callable[[Found], Machine]) -> None:
        super().__init__(found.name)
        self.kind = found.kind
        self._found = found
        self._finder = finder
        self._connect = connect
        self._inside: Machine | None = None

    async def state(self) -> MachineState:
        """See `Machine`. One that its tool does not know any more is "stopped".

        Whether another computer can be got into only shows when it is tried.
        """
        found = await self._look()
        return await self._reach().state() if found.is_remote else found.state

    async def start(self, progress: Progress) -> None:
        """See `Machine`. Raises MachineUnreachableError, also if it cannot be got into."""
        found = await self._look()
        if found.has_windows_containers:
            raise WindowsContainersError(self.name)
        if found.state != "running" and not found.is_remote:
            await self._start(found, progress)
        await self._reach().start(progress)

    async def stop(self, progress: Progress) -> None:
        """See `Machine`. Raises MachineUnreachableError, UsageError."""
        await self.aclose()
        found = await self._look()
        if found.state == "stopped":
            return
        if not found.lifecycle.stop:
            advice = found.lifecycle.advice or "stop it as it was started"
            raise UsageError(f"{self.name} was not started by Samehost", advice)
        progress(f"stopping {self.name}: {' '.join(found.lifecycle.stop)}")
        await self._tell(found.lifecycle.stop, progress)

    def docker_host(self) -> str:
        """See `Machine`; "" where there is no way to its engine from here."""
        return self._found.docker_host or (self._inside.docker_host() if self._inside else "")

    @property
    def own_ports(self) -> frozenset[tuple[str, int]]:  # type: ignore[override]
        """See `Machine`."""
        inside = self._inside.own_ports if self._inside else frozenset()
        return self._found.own_ports | inside

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        found = await self._look()
        if found.has_windows_containers:
            raise WindowsContainersError(self.name)
        if found.state != "running" and not found.is_remote:
            raise MachineUnreachableError(
                f"{self.name} does not run", f"start it: samehost machine start {self.name}"
            )
        return await self._reach().start_agent(secret)

    def steps(self) -> list[Step]:
        """See `Machine`: what the tool says, then the steps of the way in."""
        program = self._finder.program

        async def tool() -> str:
            found = await self._look()
            if found.state != "running":
                raise MachineUnreachableError(
                    f"{program} says that it is {found.state}",
                    f"start it: samehost machine start {self.name}",
                )
            return f"{program} says that it runs"

        first = [] if self._found.is_remote else [Step("tool", tool, is_way=True)]
        try:
            return [*first, *self._reach().steps()]
        except MachineUnreachableError as error:
            return [*first, Step("way", _raiser(error), is_way=True)]

    async def aclose(self) -> None:
        """See `Machine`."""
        inside, self._inside = self._inside, None
        if inside is not None:
            await inside.aclose()

    def _reach(self) -> Machine:
        """The machine as the agent gets into it."""
        if self._inside is None:
            self._inside = self._connect(self._found)
        return self._inside

    async def _look(self) -> Found:
        """What it is now, which is remembered."""
        sighting = await self._finder.find()
        for finding in sighting.findings:
            log.warning("%s (%s)", finding.message, finding.remedy)
        now = next((each for each in sighting.machines if each.name == self.name), None)
        if now is None:
            return Found(self.name, self.kind, "stopped", lifecycle=self._found.lifecycle)
        before, self._found = self._found, now
        if before.way != now.way:
            await self.aclose()
        return now

    async def _start(self, before: Found, progress: Progress) -> None:
        lifecycle = before.lifecycle
        if not lifecycle.start:
            raise MachineUnreachableError(f"{self.name} does not run", lifecycle.advice)
        progress(f"starting {self.name}: {' '.join(lifecycle.start)}")
        try:
            await self._tell(lifecycle.start, progress)
        except BaseException:
            if before.state != "starting":  # else it is somebody else's start
                await uninterrupted(self._abandon(lifecycle))
            raise
        after = await self._look()
        if after.state != "running":
            raise MachineUnreachableError(
                f"{self.name} is {after.state}, though {' '.join(lifecycle.start)} succeeded",
                f"look at it with {lifecycle.start[0]}",
            )

    async def _tell(self, argv: tuple[str, ...], progress: Progress) -> None:
        try:
            await self._finder.tools.tell(
                *argv, progress=lambda line: progress(f"{self.name}: {line}")
            )
        except ToolError as error:
            raise MachineUnreachableError(error.message, error.remedy) from error

    async def _abandon(self, lifecycle: Lifecycle) -> None:
        try:
            async with asyncio.timeout(ABANDON_SECONDS):
                await self._finder.tools.tell(*lifecycle.abandon, progress=_unseen)
        except (ToolError, TimeoutError) as error:
            log.warning("%s could not be ended after its start failed: %s", self.name, error)


def _raiser(error: MachineUnreachableError) -> Callable[[], Awaitable[str]]:
    async def fail() -> str:
        raise error

    return fail


def _unseen(line: str) -> None:
    log.info("%s", line)
