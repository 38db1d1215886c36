"""Backends of the control API for its contract tests, and the hand that moves what they show.

    async def story(world: World) -> None:
        await world.appear(8000)

    tell(kind, story)

Rules: a world has three machines (`MACHINES`) and is switched on; the first of them is attached,
the current one. Counterparts: `test_api_backends.py`, `test_api_machines.py`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import pytest

from desktop.api.backend import Backend
from desktop.api.fake import FakeBackend, FakeMachine, fake_row
from desktop.settings.keys import SWITCH
from tests.daemon_world import DaemonWorld, say_nothing
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop

__all__ = ["MACHINES", "Kind", "World", "kinds", "tell"]

MACHINES: Final = ("sandbox", "sandbox-b", "sandbox-c")
TELL_SECONDS: Final = 60.0
"""Longest that a story may take."""


class World(abc.ABC):
    """A backend, and the hand that makes ports come and go."""

    backend: Backend

    @abc.abstractmethod
    async def appear(self, *ports: int) -> None:
        """Let listeners appear in the current machine, and see them in the table."""

    @abc.abstractmethod
    async def vanish(self, *ports: int) -> None:
        """Let them go, and see them gone."""

    @abc.abstractmethod
    def spoil(self, machine: str, problem: str = "a test spoilt it") -> None:
        """Have a machine that cannot be started; or can again, if there is no problem."""

    def attached(self) -> list[str]:
        """The machines that are connected, the current one first if it is."""
        machines = self.backend.status().machines
        return [machine.name for machine in machines if machine.state == "connected"]

    def chosen(self) -> tuple[object, object]:
        """What the settings say of machines."""
        values = {each.key: each.value for each in self.backend.settings()}
        return values["machine"], values["alsoAttach"]


Kind = Callable[[], AbstractAsyncContextManager[World]]


class FakeWorld(World):
    """Rows by word of mouth."""

    def __init__(self) -> None:
        self.fake = FakeBackend({name: FakeMachine(name) for name in MACHINES})
        self.backend = self.fake

    async def appear(self, *ports: int) -> None:
        self.fake.change([fake_row(port) for port in ports])

    async def vanish(self, *ports: int) -> None:
        self.fake.change([], [fake_row(port) for port in ports])

    def spoil(self, machine: str, problem: str = "a test spoilt it") -> None:
        self.fake.machine_states[machine].problem = problem


class RealWorld(World):
    """The daemon with links to machines of this process."""

    def __init__(self, real: DaemonWorld) -> None:
        self.real = real
        self.backend = real.daemon

    async def appear(self, *ports: int) -> None:
        self.real.machine(MACHINES[0]).appear(*ports)
        for port in ports:
            await self.real.until(lambda: "active" in self.real.states(port).values())  # noqa: B023

    async def vanish(self, *ports: int) -> None:
        self.real.machine(MACHINES[0]).vanish(*ports)
        for port in ports:
            await self.real.until(lambda: not self.real.rows(port))  # noqa: B023

    def spoil(self, machine: str, problem: str = "a test spoilt it") -> None:
        self.real.machine(machine).problem = problem


@contextlib.asynccontextmanager
async def _fake() -> AsyncIterator[World]:
    world = FakeWorld()
    await world.backend.set_setting(SWITCH, True)
    await world.backend.attach(None, say_nothing)
    yield world


@contextlib.asynccontextmanager
async def _real() -> AsyncIterator[World]:
    registry = FakeRegistry(*MACHINES)
    with tempfile.TemporaryDirectory(prefix="sh-") as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr("desktop.daemon.daemon.Registry", registry)
        async with DaemonWorld(Path(home), registry) as real:
            await real.daemon.attach(None, say_nothing)
            yield RealWorld(real)


kinds = pytest.mark.parametrize(
    "kind", [pytest.param(_fake, id="fake"), pytest.param(_real, id="daemon")]
)
"""Runs a test with every backend."""


def tell(kind: Kind, story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story in a world of its own, on the daemon's event loop."""

    async def told() -> None:
        async with asyncio.timeout(TELL_SECONDS), kind() as world:
            await story(world)

    with asyncio.Runner(loop_factory=new_other_loop) as runner:
        runner.run(told())
