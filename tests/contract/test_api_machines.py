"""What every backend of the control API guarantees of the machines that are attached."""

from __future__ import annotations

import pytest

from desktop.api.counters import COUNTERS, MACHINE_COUNTERS
from desktop.errors import MachineUnreachableError, NotRunningError, SamehostError, UsageError
from tests.contract.api_worlds import Kind, World, kinds, tell
from tests.daemon_world import say_nothing

pytestmark = kinds


async def with_another(world: World) -> None:
    """Attach a second machine beside the current one."""
    await world.backend.attach_also("sandbox-b", say_nothing)
    assert world.attached() == ["sandbox", "sandbox-b"]


def test_the_current_machine_is_the_first_of_those_in_use_and_the_only_one_that_is_current(
    kind: Kind,
) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        status = world.backend.status()
        assert status.machine == status.machines[0]
        current = [
            machine.name for machine in (await world.backend.machines()).machines if machine.current
        ]
        assert current == ["sandbox"]
        alone = await world.backend.current_machine()
        assert alone is not None
        assert (alone.name, alone.state, alone.current) == ("sandbox", "running", True)

    tell(kind, story)


def test_the_list_says_which_machines_are_attached(kind: Kind) -> None:
    async def attached(world: World) -> list[str]:
        machines = (await world.backend.machines()).machines
        return [machine.name for machine in machines if machine.attached]

    async def story(world: World) -> None:
        await with_another(world)
        assert await attached(world) == ["sandbox", "sandbox-b"]
        await world.backend.detach("sandbox-b", say_nothing)
        assert await attached(world) == ["sandbox"]
        await world.backend.stop("sandbox", say_nothing)
        assert await attached(world) == []

    tell(kind, story)


def test_a_machine_that_is_connected_says_where_its_engine_is_and_since_when(kind: Kind) -> None:
    async def story(world: World) -> None:
        first = world.backend.status().machine
        alone = await world.backend.current_machine()
        assert alone is not None
        assert (first.docker_host, first.problem) == (alone.docker_host, "")
        assert first.docker_host.startswith("unix://")
        await with_another(world)
        older, newer = world.backend.status().machines
        assert older.connected_s > first.connected_s >= 0
        assert older.connected_s >= newer.connected_s
        await world.backend.stop("sandbox", say_nothing)
        stopped = world.backend.status().machine
        assert (stopped.docker_host, stopped.connected_s) == ("", 0)

    tell(kind, story)


def test_a_machine_that_could_not_be_attached_says_why_until_it_is(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.stop("sandbox", say_nothing)
        world.spoil("sandbox")
        with pytest.raises(MachineUnreachableError):
            await world.backend.attach(None, say_nothing)
        machine = world.backend.status().machine
        assert machine.state == "failed"
        assert "a test spoilt it" in machine.problem
        assert not any(each.attached for each in (await world.backend.machines()).machines)
        world.spoil("sandbox", "")
        await world.backend.attach(None, say_nothing)
        assert (world.attached(), world.backend.status().machine.problem) == (["sandbox"], "")

    tell(kind, story)


def test_a_machine_that_is_attached_too_is_in_the_settings(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        assert world.chosen() == ("sandbox", ["sandbox-b"])
        await world.backend.attach_also("sandbox-b", say_nothing)
        assert world.chosen() == ("sandbox", ["sandbox-b"])

    tell(kind, story)


def test_what_cannot_be_attached_leaves_no_trace(kind: Kind) -> None:
    async def story(world: World) -> None:
        world.spoil("sandbox-b")
        before = world.chosen()
        for method in (world.backend.attach_also, world.backend.use):
            with pytest.raises(MachineUnreachableError, match="a test spoilt it"):
                await method("sandbox-b", say_nothing)
            names = [machine.name for machine in world.backend.status().machines]
            assert (names, world.attached()) == (["sandbox"], ["sandbox"])
            assert world.chosen() == before

    tell(kind, story)


def test_a_machine_that_is_detached_is_in_the_settings_no_more_and_runs_on(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.detach("sandbox-b", say_nothing)
        assert world.attached() == ["sandbox"]
        assert world.chosen() == ("sandbox", [])
        states = {
            machine.name: machine.state for machine in (await world.backend.machines()).machines
        }
        assert states["sandbox-b"] == "running"

    tell(kind, story)


def test_when_the_current_machine_is_detached_the_one_beside_it_is_current(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.attach_also("sandbox-c", say_nothing)
        await world.backend.detach("sandbox", say_nothing)
        assert world.attached() == ["sandbox-b", "sandbox-c"]
        assert world.backend.status().machine.name == "sandbox-b"
        assert world.chosen() == ("sandbox-b", ["sandbox-c"])

    tell(kind, story)


def test_the_last_machine_can_be_detached_and_another_one_takes_its_place(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.detach("sandbox", say_nothing)
        machine = world.backend.status().machine
        assert (machine.name, machine.state) == ("sandbox", "stopped")
        await world.backend.attach_also("sandbox-c", say_nothing)
        assert world.attached() == ["sandbox-c"]
        assert world.chosen() == ("sandbox-c", [])

    tell(kind, story)


def test_a_machine_that_is_not_attached_cannot_be_detached(kind: Kind) -> None:
    async def story(world: World) -> None:
        with pytest.raises(UsageError, match="not attached: sandbox-c"):
            await world.backend.detach("sandbox-c", say_nothing)

    tell(kind, story)


def test_to_use_a_machine_detaches_the_one_in_whose_place_it_comes(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.use("sandbox-c", say_nothing)
        assert world.attached() == ["sandbox-c", "sandbox-b"]
        assert world.chosen() == ("sandbox-c", ["sandbox-b"])

    tell(kind, story)


def test_to_use_a_machine_that_is_attached_already_changes_places(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.use("sandbox-b", say_nothing)
        assert world.attached() == ["sandbox-b", "sandbox"]
        assert world.chosen() == ("sandbox-b", ["sandbox"])

    tell(kind, story)


def test_to_attach_is_to_attach_what_the_settings_name_and_nothing_else(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.set_setting("alsoAttach", ["sandbox-c"])
        assert await world.backend.attach(None, say_nothing) == []
        assert world.attached() == ["sandbox", "sandbox-c"]
        assert await world.backend.attach("sandbox-c", say_nothing) == []
        assert world.attached() == ["sandbox-c"]

    tell(kind, story)


def test_one_that_the_settings_name_and_that_cannot_be_attached_does_not_keep_the_others(
    kind: Kind,
) -> None:
    async def story(world: World) -> None:
        world.spoil("sandbox-b")
        await world.backend.set_setting("alsoAttach", ["sandbox-b", "gone", "sandbox-c"])
        spoilt, gone = await world.backend.attach(None, say_nothing)
        assert "sandbox-b" in spoilt
        assert "a test spoilt it" in spoilt
        assert "unknown machine: gone" in gone
        assert world.attached() == ["sandbox", "sandbox-c"]
        await world.backend.detach("gone", say_nothing)
        assert world.chosen()[1] == ["sandbox-b", "sandbox-c"]

    tell(kind, story)


def test_a_machine_that_is_stopped_is_detached_until_it_is_attached_again(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        chosen = world.chosen()
        await world.backend.stop("sandbox-b", say_nothing)
        assert world.attached() == ["sandbox"]
        assert world.chosen() == chosen
        await world.backend.attach(None, say_nothing)
        assert world.attached() == ["sandbox", "sandbox-b"]

    tell(kind, story)


def test_the_current_machine_is_known_by_name_when_it_is_stopped(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.stop("sandbox", say_nothing)
        status = world.backend.status()
        assert [machine.name for machine in status.machines] == ["sandbox"]
        assert status.machine.state == "stopped"

    tell(kind, story)


def test_a_failed_attach_leaves_the_current_machine_as_it_was(kind: Kind) -> None:
    async def story(world: World) -> None:
        world.spoil("sandbox-c")
        with pytest.raises(SamehostError):
            await world.backend.attach("sandbox-c", say_nothing)
        assert world.attached() == ["sandbox"]
        assert world.backend.status().machine.name == "sandbox"

    tell(kind, story)


def test_each_connected_machine_says_how_it_is_the_current_one_first(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        await world.backend.use("sandbox-b", say_nothing)
        await world.backend.attach_also("sandbox", say_nothing)
        told = await world.backend.conditions()
        assert [each.name for each in told] == world.attached() == ["sandbox-b", "sandbox"]
        for each in told:
            assert (each.problem, each.uid) == ("", 0)
            assert each.capabilities.bit_count() == 41
            assert abs(each.clock_difference_s) <= each.clock_uncertainty_s + 1
            assert [engine.trouble for engine in each.engines] == [""]

    tell(kind, story)


def test_a_connected_machine_has_a_python_and_no_problem(kind: Kind) -> None:
    async def story(world: World) -> None:
        machine = world.backend.status().machine
        assert machine.python
        assert machine.problem == ""

    tell(kind, story)


EACH_WAY = [(origin, protocol, "") for origin in ("machine", "host") for protocol in ("tcp", "udp")]


def test_a_self_test_sends_a_byte_each_way_and_leaves_nothing(kind: Kind) -> None:
    async def story(world: World) -> None:
        await with_another(world)
        before = world.backend.ports()
        for machine in (None, "sandbox-b", "sandbox"):
            trials = await world.backend.self_test(machine)
            assert [(each.origin, each.protocol, each.problem) for each in trials] == EACH_WAY
            assert all(0 < each.seconds < 10 for each in trials)
        assert world.backend.ports() == before
        assert world.backend.status().flows.udp == 0

    tell(kind, story)


def test_a_self_test_asks_nothing_of_this_computer_where_containers_may_not(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.set_setting("reachHost", False)
        trials = await world.backend.self_test(None)
        assert [(each.origin, each.protocol, each.problem) for each in trials] == EACH_WAY[:2]

    tell(kind, story)


def test_a_self_test_is_refused_while_host_networking_is_off(kind: Kind) -> None:
    async def story(world: World) -> None:
        await world.backend.set_enabled(False)
        with pytest.raises(NotRunningError, match="host networking is off"):
            await world.backend.self_test(None)

    tell(kind, story)


def test_a_self_test_of_a_machine_that_is_not_attached_is_a_usage_error(kind: Kind) -> None:
    async def story(world: World) -> None:
        for name in ("sandbox-b", "no such/one"):
            with pytest.raises(UsageError, match=f"not attached: {name}"):
                await world.backend.self_test(name)

    tell(kind, story)


def test_counters_are_whole_numbers_that_never_get_smaller(kind: Kind) -> None:
    async def story(world: World) -> None:
        before = world.backend.status()
        assert list(before.counters) == [*COUNTERS, *MACHINE_COUNTERS]
        assert list(before.machine.counters) == list(MACHINE_COUNTERS)
        assert {type(count) for count in before.counters.values()} == {int}
        assert before.counters["agents_started"] == 1
        await with_another(world)
        await world.backend.detach("sandbox-b", say_nothing)
        after = world.backend.status()
        assert all(after.counters[name] >= count for name, count in before.counters.items())
        assert (after.counters["agents_started"], len(after.machines)) == (2, 1)

    tell(kind, story)
