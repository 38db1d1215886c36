"""A real daemon in this process, in a home of its own, whose machines are `FakeMachine`s.

    async with DaemonWorld(home, registry) as world:
        await world.daemon.attach(None, print)

Rules: its mirrors are real ports of this computer, so tests take quiet ones. Nothing else here
listens, as far as it knows, but what a test adds to `source`. Counterparts: `fake_machine.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from desktop.api.types import PortRow
from desktop.daemon.daemon import Daemon
from desktop.datagrams.select import open_datagram_sockets
from desktop.listeners.fake import FakeListenerSource
from desktop.paths import Paths
from desktop.settings.store import SettingsStore
from link.relay.select import open_relay
from tests.fake_machine import FakeMachine, FakeRegistry

__all__ = ["PATIENCE", "DaemonWorld", "machines", "say_nothing", "tell"]

PATIENCE: Final = 30.0
"""Seconds until something that must happen has happened."""
POLL_SECONDS: Final = 0.005


def say_nothing(_line: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    """Three machines, in the place of the real ones."""
    registry = FakeRegistry("sandbox", "sandbox-b", "sandbox-c")
    monkeypatch.setattr("desktop.daemon.daemon.Registry", registry)
    return registry


class DaemonWorld:
    """One daemon, switched on. An asynchronous context manager; the home may have had others.

    `is_on` False leaves the switch as it is.
    """

    daemon: Daemon

    def __init__(self, home: Path, registry: FakeRegistry, *, is_on: bool = True) -> None:
        self._is_on = is_on
        self.paths = Paths.under(home)
        self.source = FakeListenerSource()
        self._registry = registry

    async def __aenter__(self) -> Self:
        store = SettingsStore(self.paths)
        sockets = open_datagram_sockets("auto")
        self.daemon = Daemon(self.paths, open_relay(), sockets, self.source, store)
        self._running = asyncio.get_running_loop().create_task(self.daemon.run(), name="daemon")
        if self._is_on:
            await self.daemon.set_enabled(True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.daemon.shutdown(say_nothing)
        await self._running

    def machine(self, name: str) -> FakeMachine:
        """One of the machines."""
        return self._registry.machines[name]

    def attached(self) -> dict[str, str]:
        """The states of the machines in use, the current one first."""
        return {machine.name: machine.state for machine in self.daemon.status().machines}

    def chosen(self) -> tuple[object, object]:
        """What the settings say of machines."""
        values = {each.key: each.value for each in self.daemon.settings()}
        return values["machine"], values["alsoAttach"]

    def rows(self, port: int) -> dict[str, PortRow]:
        """The rows of a port of machines, by machine."""
        rows = self.daemon.ports()[1]
        return {row.machine: row for row in rows if row.machine_port == port}

    def states(self, port: int) -> dict[str, str]:
        """Their states."""
        return {machine: row.state for machine, row in self.rows(port).items()}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` is true; no event tells of all that it may look at."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)


def tell(
    home: Path, registry: FakeRegistry, story: Callable[[DaemonWorld], Awaitable[None]]
) -> None:
    """Tell a story of a daemon that is attached to the first machine."""

    async def told() -> None:
        async with DaemonWorld(home, registry) as world:
            await world.daemon.attach(None, say_nothing)
            await story(world)

    asyncio.run(told())
