"""A daemon with several machines: whose port it is, and that one's trouble is its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from desktop.errors import PermissionDeniedError, UsageError
from link.listener import Listener
from tests import stories
from tests.capabilities import LINUX_KERNEL, needs
from tests.daemon_world import PATIENCE, DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop
from tests.quiet_ports import quiet_ports

__all__ = ["machines"]

PIECE = bytes(range(256)) * 256
PIECES = 200

Story = Callable[[], Awaitable[None]]


def run(story: Story) -> None:
    stories.run(story, new_other_loop)


@contextlib.asynccontextmanager
async def two_machines(home: Path, machines: FakeRegistry) -> AsyncIterator[DaemonWorld]:
    """A daemon with `sandbox`, the current one, and `sandbox-b` attached."""
    async with DaemonWorld(home, machines) as world:
        await world.daemon.attach("sandbox", say_nothing)
        await world.daemon.attach_also("sandbox-b", say_nothing)
        assert world.attached() == {"sandbox": "connected", "sandbox-b": "connected"}
        yield world


@contextlib.asynccontextmanager
async def serving(machines: FakeRegistry) -> AsyncIterator[None]:
    """Servers behind both machines: each says the machine's name, then echoes."""

    def server_of(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                writer.write(name.encode() + b"\n")
                while data := await reader.read(1 << 16):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        return serve

    async with contextlib.AsyncExitStack() as stack:
        for name, machine in machines.machines.items():
            server = await asyncio.start_server(server_of(name), "127.0.0.1", 0)
            await stack.enter_async_context(server)
            machine.server = int(server.sockets[0].getsockname()[1])
        yield


async def who_answers(port: int) -> str:
    """The name that the server behind a mirror says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await asyncio.wait_for(reader.readline(), PATIENCE)).decode().strip()
    finally:
        writer.close()


async def is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


def test_a_port_that_both_machines_want_is_the_firsts_until_that_goes(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(1)
        first, second = machines.machines["sandbox-b"], machines.machines["sandbox"]
        async with serving(machines), two_machines(tmp_path, machines) as world:
            first.appear(port, container="shop")
            await world.until(lambda: world.states(port) == {"sandbox-b": "active"})
            second.appear(port)
            await world.until(lambda: "sandbox" in world.rows(port))
            row = world.rows(port)["sandbox"]
            assert row.state == "conflict"
            assert "container shop on the machine sandbox-b has tcp port" in row.reason
            assert await who_answers(port) == "sandbox-b"
            first.vanish(port)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            assert world.rows(port)["sandbox"].reason == ""
            assert await who_answers(port) == "sandbox"

    run(story)


def test_when_a_machine_dies_the_flows_of_the_other_go_on_with_every_byte(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        dying = quiet_ports(2)
        living = dying + 1
        async with serving(machines), two_machines(tmp_path, machines) as world:
            machines.machines["sandbox"].appear(dying)
            machines.machines["sandbox-b"].appear(living)
            for port in (dying, living):
                await world.until(lambda: "active" in world.states(port).values())  # noqa: B023
            reader, writer = await asyncio.open_connection("127.0.0.1", living)
            assert await reader.readline() == b"sandbox-b\n"

            async def send() -> None:
                for number in range(PIECES):
                    if number == PIECES // 3:
                        machines.machines["sandbox"].die()
                    writer.write(PIECE)
                    await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send(), name="sending")
            heard = hashlib.sha256()
            while data := await reader.read(1 << 16):
                heard.update(data)
            await sending
            writer.close()
            assert heard.digest() == hashlib.sha256(PIECE * PIECES).digest()
            assert world.states(living) == {"sandbox-b": "active"}
            await world.until(lambda: world.states(dying) == {"sandbox": "paused"})
            assert world.attached()["sandbox-b"] == "connected"
            await machines.machines["sandbox"].start(say_nothing)
            await world.until(lambda: world.states(dying) == {"sandbox": "active"})
            assert await who_answers(dying) == "sandbox"

    run(story)


def test_a_lost_link_pauses_the_rows_of_its_machine_alone(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(2)
        async with two_machines(tmp_path, machines) as world:
            machines.machines["sandbox"].appear(port)
            machines.machines["sandbox-b"].appear(port + 1)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            await world.until(lambda: world.states(port + 1) == {"sandbox-b": "active"})
            async with world.daemon.subscribe() as changes:
                agent = machines.machines["sandbox"].agent
                assert agent is not None
                agent.cut()
                seen = set()
                while ("sandbox", "active") not in seen:
                    delta = await asyncio.wait_for(anext(changes), PATIENCE)
                    seen |= {(row.machine, row.state) for row in delta.changed}
            assert ("sandbox", "paused") in seen
            assert {machine for machine, _ in seen} == {"sandbox"}

    run(story)


def test_to_detach_a_machine_closes_its_ports_and_no_other(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(2)
        async with serving(machines), two_machines(tmp_path, machines) as world:
            machines.machines["sandbox"].appear(port)
            machines.machines["sandbox-b"].appear(port + 1)
            world.source.add(Listener(1, "tcp", "127.0.0.1", 1, process="nginx"))
            await world.until(lambda: len(world.states(1)) == 2)
            for each in (port, port + 1):
                await world.until(lambda: "active" in world.states(each).values())  # noqa: B023
            await world.daemon.detach("sandbox", say_nothing)
            await world.until(
                lambda: {row.machine for row in world.daemon.ports()[1]} == {"sandbox-b"}
            )
            assert await is_refused(port)
            assert await who_answers(port + 1) == "sandbox-b"
            assert world.states(1) == {"sandbox-b": "active"}

    run(story)


def test_this_computers_port_is_open_in_each_machine_and_each_row_has_its_own_state(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(1)
        async with two_machines(tmp_path, machines) as world:
            world.source.add(Listener(1, "tcp", "127.0.0.1", port, process="nginx"))
            machines.machines["sandbox-b"].appear(port)
            await world.until(lambda: len(world.daemon.ports()[1]) == 3)
            await world.until(lambda: "active" in world.states(port).values())
            states = {(row.origin, row.machine): row.state for row in world.daemon.ports()[1]}
            assert states == {
                ("host", "sandbox"): "active",
                ("host", "sandbox-b"): "conflict",
                ("machine", "sandbox-b"): "conflict",
            }

    run(story)


def test_a_machine_that_takes_anothers_place_takes_its_ports_without_a_conflict(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(1)
        for name in ("sandbox", "sandbox-b", "sandbox-c"):
            machines.machines[name].appear(port)
        async with serving(machines), DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            async with world.daemon.subscribe() as changes:
                await world.daemon.use("sandbox-b", say_nothing)
                await world.until(lambda: world.states(port) == {"sandbox-b": "active"})
                await world.daemon.attach("sandbox-c", say_nothing)
                await world.until(lambda: world.states(port) == {"sandbox-c": "active"})
                assert await who_answers(port) == "sandbox-c"
                seen = set()
                while ("sandbox-c", "active") not in seen:
                    delta = await anext(changes)
                    seen |= {(row.machine, row.state) for row in delta.added + delta.changed}
            assert "conflict" not in {state for _, state in seen}

    run(story)


def test_the_next_daemon_attaches_the_same_machines(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story() -> None:
        async with two_machines(tmp_path, machines) as world:
            await world.daemon.use("sandbox-b", say_nothing)
            before = world.attached()
        async with DaemonWorld(tmp_path, machines) as world:
            assert await world.daemon.attach(None, say_nothing) == []
            assert (
                world.attached() == before == dict.fromkeys(("sandbox-b", "sandbox"), "connected")
            )

    run(story)


@needs(LINUX_KERNEL)
def test_machines_that_come_and_go_leave_nothing_open(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To the bus of this computer, if it has one, a connection is opened in its own time.
    monkeypatch.setattr("desktop.daemon.daemon.watch_logind", lambda _wake: asyncio.sleep(0))

    async def story() -> None:
        port = quiet_ports(1)
        machines.machines["sandbox-b"].appear(port)
        async with serving(machines), DaemonWorld(tmp_path, machines) as world:
            before = held()
            for _ in range(5):
                for name in ("sandbox", "sandbox-b"):
                    await world.daemon.attach_also(name, say_nothing)
                await world.until(lambda: world.states(port) == {"sandbox-b": "active"})
                assert await who_answers(port) == "sandbox-b"
                for name in ("sandbox", "sandbox-b"):
                    await world.daemon.detach(name, say_nothing)
                await world.until(lambda: not world.rows(port))
            await world.until(lambda: held() <= before)

    run(story)


def held() -> Counter[str]:
    """How many sockets, pipes and the like this process has open, by kind."""
    kinds: Counter[str] = Counter()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own
            kinds[oct(stat.S_IFMT(os.fstat(int(name)).st_mode))] += 1
    return kinds


def test_machines_with_containers_of_the_same_id_are_told_apart(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port = quiet_ports(2)
        async with two_machines(tmp_path, machines) as world:
            machines.machines["sandbox"].appear(port, container="web")
            machines.machines["sandbox-b"].appear(port + 1, container="copy")
            await world.until(lambda: len(world.daemon.ports()[1]) == 2)
            names = {each.machine: each.name for each in world.daemon.containers()}
            assert names == {"sandbox": "web", "sandbox-b": "copy"}

    run(story)


def test_machines_that_are_attached_at_once_are_all_remembered(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach(None, say_nothing)
            await asyncio.gather(
                world.daemon.attach_also("sandbox-b", say_nothing),
                world.daemon.attach_also("sandbox-c", say_nothing),
            )
            assert world.chosen() == ("sandbox", ["sandbox-b", "sandbox-c"])
            assert list(world.attached()) == ["sandbox", "sandbox-b", "sandbox-c"]

    run(story)


def test_what_the_administrator_locked_is_refused_before_anything_starts(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach(None, say_nothing)
            world.paths.admin.mkdir(parents=True)
            world.paths.policy_file.write_text('{"alsoAttach": {"locked": true, "value": []}}')
            await world.daemon.set_setting("reachHost", True)
            with pytest.raises(PermissionDeniedError, match="alsoAttach"):
                await world.daemon.attach_also("sandbox-b", say_nothing)
            assert await machines.machines["sandbox-b"].state() == "stopped"
            assert list(world.attached()) == ["sandbox"]

    run(story)


def test_an_attach_that_is_given_up_leaves_no_trace(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach(None, say_nothing)
            begun = asyncio.Event()
            attaching = asyncio.create_task(
                world.daemon.attach_also("sandbox-b", lambda _line: begun.set()), name="attach"
            )
            await begun.wait()
            attaching.cancel()
            await asyncio.gather(attaching, return_exceptions=True)
            assert list(world.attached()) == ["sandbox"]
            assert world.chosen()[1] == []

    run(story)


def test_the_machine_of_the_settings_is_current_before_it_is_attached(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.set_setting("machine", "sandbox-b")
            listed = (await world.daemon.machines()).machines
            assert [each.name for each in listed if each.current] == ["sandbox-b"]
            assert world.daemon.status().machine.name == "sandbox-b"

    run(story)


@pytest.mark.parametrize("name", ["", "mars"])
def test_a_machine_that_there_is_not_is_never_the_current_one(
    tmp_path: Path, machines: FakeRegistry, name: str
) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            before = world.daemon.status().machine.name
            with pytest.raises(UsageError, match="unknown machine"):
                await world.daemon.attach(name, say_nothing)
            assert world.daemon.status().machine.name == before
            await world.daemon.attach(None, say_nothing)
            assert world.attached() == {"sandbox": "connected"}

    run(story)


def test_a_computer_without_a_sandbox_has_no_machine_until_one_is_attached(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.machines.registry.has_namespaces", lambda: False)

    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            assert world.attached() == {"": "stopped"}
            assert await world.daemon.current_machine() is None
            with pytest.raises(UsageError, match="not attached: a machine"):
                await world.daemon.self_test(None)
            await world.daemon.attach_also("sandbox-b", say_nothing)
            assert world.attached() == {"sandbox-b": "connected"}
            assert world.chosen() == ("sandbox-b", [])
            await world.daemon.detach("sandbox-b", say_nothing)
            assert world.attached() == {"sandbox-b": "stopped"}

    run(story)
