"""What every backend of the control API guarantees: of ports, the switch and settings."""

from __future__ import annotations

import asyncio

import pytest

from desktop.api.types import ContainerDetails, PortRow, row_key, row_order
from desktop.errors import PermissionDeniedError, UsageError
from tests.contract.api_worlds import Kind, World, kinds, tell
from tests.daemon_world import say_nothing
from tests.quiet_ports import quiet_ports
from tests.served_backend import PATIENCE

pytestmark = kinds


@pytest.fixture
def ports() -> tuple[int, int, int]:
    """Three ports that nobody uses, in order."""
    first = quiet_ports(3)
    return first, first + 1, first + 2


def test_rows_are_sorted(kind: Kind, ports: tuple[int, int, int]) -> None:
    async def story(world: World) -> None:
        await world.appear(*reversed(ports))
        _, rows = world.backend.ports()
        assert tuple(row.machine_port for row in rows) == ports
        assert rows == sorted(rows, key=row_order)
        assert len({row_key(row) for row in rows}) == 3
        assert {row.machine for row in rows} == {"sandbox"}

    tell(kind, story)


def test_changes_lead_from_the_snapshot_to_the_table(
    kind: Kind, ports: tuple[int, int, int]
) -> None:
    async def story(world: World) -> None:
        await world.appear(*ports[:2])
        async with world.backend.subscribe() as changes:
            revision, rows = world.backend.ports()
            table = {row_key(row): row for row in rows}
            await world.appear(ports[2])
            await world.vanish(ports[0])
            async with asyncio.timeout(PATIENCE):
                while {row.machine_port for row in table.values()} != set(ports[1:]):
                    delta = await anext(changes)
                    assert delta.revision == revision + 1
                    revision = delta.revision
                    for row in delta.removed:
                        del table[row_key(row)]
                    table.update({row_key(row): row for row in delta.added + delta.changed})
        assert world.backend.ports() == (revision, sorted(table.values(), key=row_order))

    tell(kind, story)


def test_each_container_of_the_rows_is_known_once(kind: Kind, ports: tuple[int, int, int]) -> None:
    async def story(world: World) -> None:
        assert world.backend.containers() == []
        async with world.backend.subscribe() as changes:
            await world.appear(*ports)
            await world.vanish(ports[0])
            async with asyncio.timeout(PATIENCE):
                gone = False
                while not gone:
                    delta = await anext(changes)
                    rows = [*delta.added, *delta.changed, *delta.removed]
                    gone = ports[0] in {row.machine_port for row in delta.removed}
                    assert_known(rows, delta.containers)
        assert_known(world.backend.ports()[1], world.backend.containers())

    tell(kind, story)


def assert_known(rows: list[PortRow], containers: list[ContainerDetails]) -> None:
    of_rows = {
        (row.machine, row.container.id, row.container.runtime) for row in rows if row.container
    }
    assert sorted((each.machine, each.id, each.runtime) for each in containers) == sorted(of_rows)


def test_the_switch_is_in_the_status_and_in_the_settings(kind: Kind) -> None:
    async def story(world: World) -> None:
        for wanted in (False, True):
            await world.backend.set_enabled(wanted)
            assert world.backend.status().enabled is wanted
            values = {each.key: each.value for each in world.backend.settings()}
            assert values["hostNetworkingEnabled"] is wanted

    tell(kind, story)


def test_a_setting_that_was_set_is_in_force(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.set_setting("ignore", ["tcp:7000"])
        (found,) = [each for each in world.backend.settings() if each.key == "ignore"]
        assert (found.value, found.default) == (["tcp:7000"], [])
        assert (found.locked, found.lock) == ("", "")

    tell(kind, story)


@pytest.mark.parametrize(("key", "value"), [("ignore", 3), ("nonsense", True)])
def test_a_wrong_setting_is_a_usage_error(kind: Kind, key: str, value: object) -> None:
    async def story(world: World) -> None:
        with pytest.raises(UsageError) as tried:
            await world.backend.set_setting(key, value)
        with pytest.raises(UsageError) as checked:
            await world.backend.check_setting(key, value)
        assert checked.value.message == tried.value.message

    tell(kind, story)


def test_a_check_of_a_good_setting_changes_nothing(kind: Kind) -> None:
    async def story(world: World) -> None:
        before = world.backend.settings()
        await world.backend.check_setting("ignore", ["tcp:7000"])
        await world.backend.check_setting("hostNetworkingEnabled", False)
        assert world.backend.settings() == before

    tell(kind, story)


def test_container_isolation_locks_the_switch_and_says_so_everywhere(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.set_setting("enhancedContainerIsolation", True)
        entries = {each.key: each for each in world.backend.settings()}
        switch, status = entries["hostNetworkingEnabled"], world.backend.status()
        assert (switch.value, switch.lock) == (False, "isolation")
        assert (status.enabled, status.enabled_locked) == (False, True)
        assert status.enabled_reason == switch.locked
        for change in (world.backend.check_setting, world.backend.set_setting):
            with pytest.raises(PermissionDeniedError):
                await change("hostNetworkingEnabled", True)
        await world.backend.set_setting("enhancedContainerIsolation", False)
        assert world.backend.status().enabled

    tell(kind, story)


def test_an_unknown_machine_is_a_usage_error(kind: Kind) -> None:
    async def story(world: World) -> None:
        backend = world.backend
        for method in (
            *(backend.use, backend.attach_also, backend.detach),
            *(backend.start, backend.stop),
        ):
            with pytest.raises(UsageError, match="no such/one"):
                await method("no such/one", say_nothing)

    tell(kind, story)


@pytest.mark.parametrize("name", ["", "no such/one"])
def test_to_attach_a_machine_that_there_is_not_is_a_usage_error_and_changes_nothing(
    kind: Kind, name: str
) -> None:
    async def story(world: World) -> None:
        before = world.backend.status().machine.name
        with pytest.raises(UsageError, match="unknown machine"):
            await world.backend.attach(name, say_nothing)
        assert world.backend.status().machine.name == before

    tell(kind, story)
