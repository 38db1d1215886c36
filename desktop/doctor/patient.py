"""What is examined: one Samehost, each part of it looked at once, when a check first asks for it.

Rules: nothing is changed, and nothing is left. Every look has a time limit of its own, and what it
met is kept, so that a daemon that hangs is waited for once. What depends on a daemon that is not
there raises `NotSeenError`; the check `daemon` says why. Counterpart: the checks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from desktop.api.client import ApiClient
from desktop.api.stream import connect, listener_of
from desktop.doctor.blocking import in_thread
from desktop.doctor.verdict import NotSeenError
from desktop.errors import NotRunningError, SamehostError
from desktop.machines.examination import Finding, examine
from desktop.paths import Paths
from link.listener import Listener

__all__ = ["DaemonView", "MachineView", "Patient"]

ANSWER_SECONDS: Final = 4.0
"""How long the daemon may take to answer before it counts as hanging."""
STEPS_SECONDS: Final = 45.0
"""How long the way to a machine may take."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class DaemonView:
    """A daemon that answers: its version, and what it says of itself (`status --json`).

    `pid` is its process, 0 where the system does not tell.
    """

    version: str
    pid: int
    status: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine that is in use, or would be.

    `status` is the daemon's word if it is connected; `steps` are our own way there if it is not.
    """

    name: str
    status: dict[str, Any] | None
    steps: tuple[Finding, ...] = ()

    def step(self, name: str) -> Finding | None:
        """One step of the way."""
        return next((each for each in self.steps if each.step == name), None)


class _Once(Generic[_Result]):
    """A look that is taken once: its result, or what it raised."""

    def __init__(self, look: Callable[[], Awaitable[_Result]]) -> None:
        self._look = look
        self._task: asyncio.Task[_Result] | None = None

    async def get(self) -> _Result:
        """Cancelled, the look goes on."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._take(), name="look")
        return await asyncio.shield(self._task)

    async def _take(self) -> _Result:
        return await self._look()

    async def aclose(self) -> None:
        """End it, if it is still under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Patient:
    """One Samehost. `aclose` before dropping it."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._daemon = _Once(self._greet)
        self._machines = _Once(self._find_machines)
        self._conditions = _Once(lambda: self.ask("conditions"))
        self._rows = _Once(lambda: self.ask("ports"))

    async def aclose(self) -> None:
        """End what is still under way."""
        looks: tuple[_Once[Any], ...] = (
            *(self._daemon, self._machines),
            *(self._conditions, self._rows),
        )
        for look in looks:
            await look.aclose()

    async def daemon(self) -> DaemonView:
        """The daemon. Raises SamehostError if it is not there, or does not answer."""
        return await self._daemon.get()

    async def daemon_pid(self) -> int:
        """The daemon's process, though it hangs; 0 if there is none, or that cannot be told."""
        try:
            return (await self.daemon()).pid
        except NotRunningError:
            return 0
        except SamehostError:
            return await in_thread(lambda: _listener_of(self.paths.api_socket))

    async def status(self) -> dict[str, Any]:
        """What the daemon says of itself. Raises NotSeenError."""
        try:
            return (await self.daemon()).status
        except SamehostError as error:
            raise NotSeenError(f"{error.message}: see the check daemon") from error

    async def rows(self) -> list[dict[str, Any]]:
        """The rows of `samehost ports --json`. Raises NotSeenError, SamehostError."""
        await self.status()
        rows: list[dict[str, Any]] = (await self._rows.get())["ports"]
        return rows

    async def conditions(self) -> list[dict[str, Any]]:
        """How the agents are. Raises NotSeenError, SamehostError."""
        await self.status()
        conditions: list[dict[str, Any]] = await self._conditions.get()
        return conditions

    async def machines(self) -> list[MachineView]:
        """The machines in use, or that would be. Raises SamehostError if none can be told."""
        return await self._machines.get()

    async def known_machines(self) -> list[MachineView]:
        """The same for checks that come after `machine`. Raises NotSeenError."""
        try:
            return await self.machines()
        except SamehostError as error:
            raise NotSeenError(f"{error.message}: see the check machine") from error

    async def ask(
        self, method: str, seconds: float = ANSWER_SECONDS, /, **parameters: object
    ) -> Any:
        """The daemon's answer, which may take so long. Raises SamehostError."""
        path = self.paths.api_socket
        return await in_thread(lambda: _ask(path, seconds, method, parameters))

    async def listeners(self) -> list[Listener]:
        """What this computer listens on, as far as this user may see. Raises SamehostError."""
        from desktop.listeners.select import open_listener_source

        def scan() -> list[Listener]:
            with contextlib.closing(open_listener_source()) as source:
                return source.scan(frozenset())

        return await in_thread(scan)

    async def _greet(self) -> DaemonView:
        path = self.paths.api_socket

        def greet() -> DaemonView:
            with ApiClient.connect(path, ANSWER_SECONDS) as client:
                return DaemonView(client.version, client.pid, client.call("status"))

        return await in_thread(greet)

    async def _find_machines(self) -> list[MachineView]:
        try:
            machines = [each for each in (await self.status())["machines"] if each["name"]]
        except NotSeenError:
            machines = []
        machines = machines or [{"name": name, "state": ""} for name in await self._chosen()]
        views = []
        for status in machines:
            if status["state"] == "connected":
                views.append(MachineView(status["name"], status))
            else:
                steps = await self._steps(status["name"])
                views.append(MachineView(status["name"], None, tuple(steps)))
        return views

    async def _chosen(self) -> list[str]:
        """Those that the next daemon would attach. Raises SamehostError if there is none."""
        from desktop.machines.registry import Registry
        from desktop.settings.store import SettingsStore

        settings = (await in_thread(lambda: SettingsStore(self.paths))).settings
        first = settings.machine or await Registry(self.paths, settings).choose()
        return list(dict.fromkeys((first, *settings.also_attach)))

    async def _steps(self, name: str) -> list[Finding]:
        """Our own way to a machine, up to an agent that answers. Never raises SamehostError."""
        from desktop.machines.registry import Registry
        from desktop.settings.store import SettingsStore

        findings: list[Finding] = []
        try:
            async with asyncio.timeout(STEPS_SECONDS):
                settings = (await in_thread(lambda: SettingsStore(self.paths))).settings
                registry = Registry(self.paths, settings)
                async with contextlib.aclosing(await registry.get(name)) as machine:
                    async for finding in examine(machine.steps()):
                        findings.append(finding)  # noqa: PERF401 - what was seen counts if it hangs
        except SamehostError as error:
            findings.append(Finding("machine", "failed", error.message, error.remedy, is_way=True))
        except TimeoutError:
            words = f"the way to {name} took longer than {STEPS_SECONDS:.0f} s"
            findings.append(Finding("way", "failed", words, "see what hangs there", is_way=True))
        return findings


def _listener_of(path: Path) -> int:
    """Whoever listens where the control API is; 0 if nobody does, or that is not told."""
    try:
        with contextlib.closing(connect(path, ANSWER_SECONDS)) as probe:
            return listener_of(probe)
    except OSError:
        return 0


def _ask(path: Path, seconds: float, method: str, parameters: dict[str, object]) -> Any:
    with ApiClient.connect(path, seconds) as client:
        return client.call(method, parameters)
