"""What a command says is so when it answers: ports on both sides are as it has them, not soon."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from desktop.daemon import mirroring as mirroring_module
from desktop.daemon.link import AgentLink
from desktop.daemon.machine_ports import ACTIONS_PER_STEP
from desktop.transports.memory import MemoryTransport
from link.handshake import SECRET_SIZE
from link.listener import Listener
from link.messages import Snapshot, StubKey, StubResult, StubResults
from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry
from tests.quiet_ports import quiet_ports
from tests.unit.daemon.test_mirroring import WEB, link_up, mirroring_of, run, until_states
from tests.until import until

__all__ = ["machines"]

MORE_THAN_A_STEP = ACTIONS_PER_STEP + 20


async def are_open(ports: range) -> set[bool]:
    """Whether somebody listens on them."""
    found = set()
    for port in ports:
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            found.add(True)
            continue
        found.add(False)
    return found


def shown(world: DaemonWorld) -> set[tuple[str, str]]:
    """Origins and states of all rows."""
    return {(row.origin, row.state) for row in world.daemon.ports()[1]}


def test_ports_are_as_each_command_has_them_when_it_answers(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    first = quiet_ports(MORE_THAN_A_STEP + 1)
    there, here = range(first, first + MORE_THAN_A_STEP), first + MORE_THAN_A_STEP

    async def story() -> None:
        world = DaemonWorld(tmp_path, machines)
        world.source.add(Listener(1, "tcp", "127.0.0.1", here))
        async with world:
            daemon = world.daemon
            world.machine("sandbox").appear(*there)
            await daemon.attach("sandbox", say_nothing)
            assert shown(world) == {("machine", "active"), ("host", "active")}
            assert await are_open(there) == {True}
            await daemon.set_enabled(False)
            assert shown(world) == set()
            assert await are_open(there) == {False}
            await daemon.set_enabled(True)
            assert shown(world) == {("machine", "active"), ("host", "active")}
            assert await are_open(there) == {True}
            await daemon.set_setting("reachHost", False)
            assert shown(world) == {("machine", "active")}
            await daemon.detach("sandbox", say_nothing)
            assert await are_open(there) == {False}
            await daemon.attach_also("sandbox", say_nothing)
            assert await are_open(there) == {True}
            await daemon.use("sandbox-b", say_nothing)
            assert await are_open(there) == {False}

    run(story)


def test_it_is_waited_for_what_an_agent_answers() -> None:
    async def story() -> None:
        async with mirroring_of(Listener(1, "tcp", "127.0.0.1", quiet_ports(1))) as mirroring:
            vm = link_up(mirroring)
            settled = asyncio.create_task(mirroring.settled(), name="settled")
            await until_states(mirroring, "pending")
            assert not settled.done()
            binding = mirroring.rows()[0].wish.binding
            key = StubKey(binding.address, binding.port, binding.protocol)
            vm.message(StubResults((StubResult(key, is_open=True),)))
            await settled
            await until_states(mirroring, "active")

    run(story)


def test_it_is_waited_for_what_an_agent_tells_first() -> None:
    server = Listener(1, "tcp", "127.0.0.1", quiet_ports(1), container=WEB)

    async def story() -> None:
        async with mirroring_of() as mirroring:
            ports = mirroring.machine("vm")
            ports.link_up(AgentLink(MemoryTransport(None), bytes(SECRET_SIZE), ports.pool, ports))
            settled = asyncio.create_task(mirroring.settled(), name="settled")
            await until(lambda: mirroring._unsettled and not mirroring._is_step_due)
            assert not settled.done()
            ports.message(Snapshot(1, first=True, last=True, listeners=(server,)))
            await settled
            assert [row.state.value for row in mirroring.rows()] == ["active"]

    run(story)


def test_an_agent_that_does_not_answer_holds_nobody_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirroring_module, "SETTLED_SECONDS", 0.1)

    async def story() -> None:
        async with mirroring_of(Listener(1, "tcp", "127.0.0.1", quiet_ports(1))) as mirroring:
            link_up(mirroring)
            await mirroring.settled()
            assert [row.state.value for row in mirroring.rows()] == ["pending"]
            assert not mirroring._unsettled

    run(story)
