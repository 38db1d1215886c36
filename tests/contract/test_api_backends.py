"""What every backend of the control API guarantees; the fake one here."""

from __future__ import annotations

import abc
import asyncio

import pytest

from desktop.api.backend import Backend
from desktop.api.fake import FakeBackend, fake_row
from desktop.api.types import ContainerDetails, PortRow, row_key, row_order
from desktop.errors import UsageError
from tests.served_backend import PATIENCE


class World(abc.ABC):
    """A backend, and the hand that makes ports come and go."""

    backend: Backend

    @abc.abstractmethod
    async def appear(self, *ports: int) -> None:
        """Let listeners appear in the machine."""

    @abc.abstractmethod
    async def vanish(self, *ports: int) -> None:
        """Let them go."""


class FakeWorld(World):
    """Rows by word of mouth."""

    def __init__(self) -> None:
        self.fake = FakeBackend()
        self.backend = self.fake

    async def appear(self, *ports: int) -> None:
        self.fake.change([fake_row(port) for port in ports])

    async def vanish(self, *ports: int) -> None:
        self.fake.change([], [fake_row(port) for port in ports])


@pytest.fixture(params=[FakeWorld], ids=["fake"])
def kind(request: pytest.FixtureRequest) -> type[World]:
    """Made inside of the event loop, by the test."""
    world: type[World] = request.param
    return world


def test_rows_are_sorted(kind: type[World]) -> None:
    async def scenario() -> None:
        world = kind()
        await world.appear(9002, 9001, 80)
        _, rows = world.backend.ports()
        assert [row.machine_port for row in rows] == [80, 9001, 9002]
        assert rows == sorted(rows, key=row_order)
        assert len({row_key(row) for row in rows}) == 3

    asyncio.run(scenario())


def test_changes_lead_from_the_snapshot_to_the_table(kind: type[World]) -> None:
    async def scenario() -> None:
        world = kind()
        await world.appear(1, 2)
        async with world.backend.subscribe() as changes:
            revision, rows = world.backend.ports()
            table = {row_key(row): row for row in rows}
            await world.appear(3)
            await world.vanish(1)
            async with asyncio.timeout(PATIENCE):
                while {row.machine_port for row in table.values()} != {2, 3}:
                    delta = await anext(changes)
                    assert delta.revision == revision + 1
                    revision = delta.revision
                    for row in delta.removed:
                        del table[row_key(row)]
                    table.update({row_key(row): row for row in delta.added + delta.changed})
        assert world.backend.ports() == (revision, sorted(table.values(), key=row_order))

    asyncio.run(scenario())


def test_each_container_of_the_rows_is_known_once(kind: type[World]) -> None:
    async def scenario() -> None:
        world = kind()
        assert world.backend.containers() == []
        async with world.backend.subscribe() as changes:
            await world.appear(1, 2, 3)
            await world.vanish(1)
            async with asyncio.timeout(PATIENCE):
                gone = False
                while not gone:
                    delta = await anext(changes)
                    rows = [*delta.added, *delta.changed, *delta.removed]
                    gone = 1 in {row.machine_port for row in delta.removed}
                    assert_known(rows, delta.containers)
        assert_known(world.backend.ports()[1], world.backend.containers())

    asyncio.run(scenario())


def assert_known(rows: list[PortRow], containers: list[ContainerDetails]) -> None:
    of_rows = {
        (row.machine, row.container.id, row.container.runtime) for row in rows if row.container
    }
    assert sorted((each.machine, each.id, each.runtime) for each in containers) == sorted(of_rows)


def test_the_switch_is_in_the_status_and_in_the_settings(kind: type[World]) -> None:
    async def scenario() -> None:
        backend = kind().backend
        for wanted in (True, False):
            await backend.set_enabled(wanted)
            assert backend.status().enabled is wanted
            values = {each.key: each.value for each in backend.settings()}
            assert values["hostNetworkingEnabled"] is wanted

    asyncio.run(scenario())


def test_a_setting_that_was_set_is_in_force(kind: type[World]) -> None:
    async def scenario() -> None:
        backend = kind().backend
        await backend.set_setting("ignore", ["tcp:7000"])
        (found,) = [each for each in backend.settings() if each.key == "ignore"]
        assert (found.value, found.default, found.locked) == (["tcp:7000"], [], "")

    asyncio.run(scenario())


@pytest.mark.parametrize(("key", "value"), [("ignore", 3), ("nonsense", True)])
def test_a_wrong_setting_is_a_usage_error(kind: type[World], key: str, value: object) -> None:
    async def scenario() -> None:
        with pytest.raises(UsageError):
            await kind().backend.set_setting(key, value)

    asyncio.run(scenario())


def test_an_unknown_machine_is_a_usage_error(kind: type[World]) -> None:
    async def scenario() -> None:
        backend = kind().backend
        for method in (backend.use, backend.start, backend.stop):
            with pytest.raises(UsageError, match="no such/one"):
                await method("no such/one", print)

    asyncio.run(scenario())


def test_at_most_one_machine_is_current(kind: type[World]) -> None:
    async def scenario() -> None:
        machines = await kind().backend.machines()
        assert machines
        assert sum(machine.current for machine in machines) <= 1

    asyncio.run(scenario())
