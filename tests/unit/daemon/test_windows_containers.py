"""A machine whose engine runs Windows containers: the switch is off and says why.

Rules: as in `tests/daemon_world.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from desktop.errors import PermissionDeniedError, UsageError
from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]

ONLY_LINUX = "only Linux containers are supported"


def tell(
    home: Path, registry: FakeRegistry, story: Callable[[DaemonWorld], Awaitable[None]]
) -> None:
    async def told() -> None:
        async with DaemonWorld(home, registry) as world:
            await story(world)

    asyncio.run(told())


def lock_of(world: DaemonWorld) -> str:
    """The kind of the switch's lock; status and settings say the same of it."""
    (entry,) = [each for each in world.daemon.settings() if each.key == "hostNetworkingEnabled"]
    status = world.daemon.status()
    assert (status.enabled, status.enabled_reason) == (entry.value, entry.locked)
    assert status.enabled_locked is bool(entry.lock)
    assert (ONLY_LINUX in entry.locked) is (entry.lock == "engine")
    return entry.lock


def test_attaching_it_locks_the_switch_until_it_can_be_attached(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        machine = world.machine("sandbox")
        machine.has_windows_containers = True
        with pytest.raises(UsageError, match=ONLY_LINUX):
            await world.daemon.attach("sandbox", say_nothing)
        assert lock_of(world) == "engine"
        for change in (world.daemon.check_setting, world.daemon.set_setting):
            with pytest.raises(PermissionDeniedError, match=ONLY_LINUX):
                await change("hostNetworkingEnabled", True)
        machine.has_windows_containers = False
        await world.daemon.attach("sandbox", say_nothing)
        assert lock_of(world) == ""
        assert world.daemon.status().enabled

    tell(tmp_path, machines, story)


def test_a_look_at_the_machines_sees_that_the_current_one_was_switched(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        await world.daemon.attach("sandbox", say_nothing)
        for is_windows, lock in ((True, "engine"), (False, "")):
            world.machine("sandbox").has_windows_containers = is_windows
            await world.daemon.machines()
            assert lock_of(world) == lock

    tell(tmp_path, machines, story)


def test_another_machine_unlocks_the_switch(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story(world: DaemonWorld) -> None:
        world.machine("sandbox").has_windows_containers = True
        with pytest.raises(UsageError):
            await world.daemon.attach("sandbox", say_nothing)
        await world.daemon.use("sandbox-b", say_nothing)
        await world.daemon.machines()
        assert lock_of(world) == ""

    tell(tmp_path, machines, story)


def test_one_that_is_not_the_current_one_locks_nothing(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        world.machine("sandbox-b").has_windows_containers = True
        await world.daemon.attach("sandbox", say_nothing)
        for attach in (world.daemon.use, world.daemon.attach_also):
            with pytest.raises(UsageError, match=ONLY_LINUX):
                await attach("sandbox-b", say_nothing)
        await world.daemon.machines()
        assert lock_of(world) == ""
        assert world.attached() == {"sandbox": "connected"}

    tell(tmp_path, machines, story)
