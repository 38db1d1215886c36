"""Self-tests that go wrong: each says why, and none leaves anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.daemon import inquiries, trials
from desktop.errors import MachineUnreachableError
from link import one_byte
from link.messages import TrialOpened, TrialResults
from tests.daemon_world import DaemonWorld, machines, tell
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]


def nothing_is_left(world: DaemonWorld) -> bool:
    ports = world.daemon._mirroring.machine("sandbox")
    return not ports.inodes and not ports._trials._targets


def test_an_agent_that_takes_no_part_is_not_waited_for_long(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(inquiries, "ANSWER_SECONDS", 0.05)
    machines.machines["sandbox"].is_deaf = True

    async def story(world: DaemonWorld) -> None:
        with pytest.raises(MachineUnreachableError, match="took no part"):
            await world.daemon.self_test(None)
        assert nothing_is_left(world)
        assert [each.problem for each in await world.daemon.conditions()] == [
            "the agent has not answered within 3 s"
        ]

    tell(tmp_path, machines, story)


def test_a_link_that_is_lost_ends_it(tmp_path: Path, machines: FakeRegistry) -> None:
    machines.machines["sandbox"].is_deaf = True

    async def story(world: DaemonWorld) -> None:
        asked = asyncio.get_running_loop().create_task(world.daemon.self_test(None), name="asks")
        await world.until(lambda: not nothing_is_left(world))
        agent = world.machine("sandbox").agent
        assert agent is not None
        agent.cut()
        with pytest.raises(MachineUnreachableError, match="the link was lost"):
            await asked
        assert nothing_is_left(world)

    tell(tmp_path, machines, story)


def test_each_way_that_does_not_work_is_told_by_itself(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_byte, "ASK_SECONDS", 1.0)

    async def story(world: DaemonWorld) -> None:
        ports = world.daemon._mirroring.machine("sandbox")
        monkeypatch.setattr(
            ports._udp_servers, "opened", lambda _where, stream, _to: stream.close()
        )
        monkeypatch.setattr(
            ports.mirrors, "open", lambda where: 13 if where.protocol == "tcp" else 1
        )
        found = await world.daemon.self_test(None)
        assert [(each.origin, each.protocol, each.problem) for each in found] == [
            ("machine", "tcp", "Permission denied"),
            ("machine", "udp", "Operation not permitted"),
            ("host", "tcp", ""),
            ("host", "udp", "no answer within 1 s"),
        ]
        assert nothing_is_left(world)

    tell(tmp_path, machines, story)


def test_two_at_once_wait_for_each_other(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story(world: DaemonWorld) -> None:
        both = await asyncio.gather(world.daemon.self_test(None), world.daemon.self_test(None))
        assert [each.problem for found in both for each in found] == [""] * 8
        assert nothing_is_left(world)

    tell(tmp_path, machines, story)


def test_an_agent_that_speaks_of_a_test_that_nobody_asked_for_opens_nothing(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        ports = world.daemon._mirroring.machine("sandbox")
        for number in range(1, 4):
            ports.message(TrialOpened(number, 22, 53, ""))
            ports.message(TrialResults(number, "", "", 1, 1))
        assert nothing_is_left(world)
        assert world.daemon.ports()[1] == []
        found = await world.daemon.self_test(None)
        assert [each.problem for each in found] == [""] * 4

    tell(tmp_path, machines, story)
