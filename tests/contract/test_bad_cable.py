"""A daemon whose link breaks off anywhere, again and again, is slow, or falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from desktop.daemon.link import BASE_STREAMS
from desktop.transports.transport import TransportError
from tests.bad_cable import FILES_OF_STREAM, TASKS_OF_STREAM, Cable, CabledMachine
from tests.daemon_world import PATIENCE, DaemonWorld, say_nothing
from tests.effort import EFFORT
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop
from tests.quiet_ports import quiet_ports

CALM_SECONDS: Final = 0.3
MANY_TRIES: Final = 40
FLAPS: Final = 10 * EFFORT
FLAP_SECONDS: Final = 1.0
STORY_SECONDS: Final = 60 + 2 * FLAPS * FLAP_SECONDS
HEAL_SECONDS: Final = 10.0
"""From the last fault on, until a client is served."""
CUTS: Final = (
    1,
    2,
    3,
    4,
    5,
    20,
    36,
    37,
    50,
    69,
    70,
    71,
    100,
    120,
    150,
    170,
    180,
    190,
    200,
    220,
    300,
)
"""Bytes of a control session, both ways: within handshake, frames' heads, Welcome and snapshot."""


pytestmark = pytest.mark.timeout(60 + STORY_SECONDS)


class Scene:
    """A daemon with one mirror, whose server echoes."""

    def __init__(self, world: DaemonWorld, machine: CabledMachine, port: int) -> None:
        self.world, self.machine, self.cable, self.port = world, machine, machine.cable, port

    async def ask(self, words: bytes) -> bytes:
        """What a client of the mirror hears until the end. Raises OSError."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(words)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                return await reader.read(-1)
        finally:
            writer.close()

    @property
    def state(self) -> str:
        return self.world.attached()["sandbox"]

    async def heal(self) -> None:
        """All is as it was, in time."""
        async with asyncio.timeout(HEAL_SECONDS):
            await self.world.until(lambda: self.state == "connected")
            await self.world.until(lambda: self.world.states(self.port) == {"sandbox": "active"})
            assert await self.ask(b"well?") == b"well?"

    async def settle_to(self, level: tuple[int, int]) -> None:
        """Nothing is left of faults and clients: files and tasks are no more than before."""
        files, tasks = level
        with contextlib.suppress(TimeoutError):
            await self.world.until(lambda: self.used()[0] <= files and self.used()[1] <= tasks)
        assert self.used()[0] <= files
        assert self.used()[1] <= tasks

    async def level(self) -> tuple[int, int]:
        """What is used at rest: once it has been the same for a while."""
        before = (0, 0)
        async with asyncio.timeout(PATIENCE):
            while before != (before := self.used()):  # noqa: ASYNC110
                await asyncio.sleep(CALM_SECONDS)
        return before

    def used(self) -> tuple[int, int]:
        """Files and tasks, but for those of streams: how many of them are ready is as it may be."""
        streams = self.cable.streams
        files = len(os.listdir("/dev/fd")) - FILES_OF_STREAM * streams
        return files, len(asyncio.all_tasks()) - TASKS_OF_STREAM * streams


@pytest.fixture
def tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    registry = FakeRegistry("sandbox")
    monkeypatch.setattr("desktop.daemon.daemon.Registry", registry)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def told(story: Callable[[Scene], Awaitable[None]]) -> None:
        machine = registry.machines["sandbox"] = CabledMachine("sandbox", Cable())
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        machine.server = int(server.sockets[0].getsockname()[1])
        async with asyncio.timeout(STORY_SECONDS), server, DaemonWorld(tmp_path, registry) as world:
            await world.daemon.attach("sandbox", say_nothing)
            scene = Scene(world, machine, quiet_ports(1))
            machine.appear(scene.port)
            await world.until(lambda: world.states(scene.port) == {"sandbox": "active"})
            bulk = bytes(1 << 20)
            assert await scene.ask(bulk) == bulk  # pipes are made once, and kept
            await story(scene)
        await machine.cable.cut()

    def run(story: Callable[[Scene], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=new_other_loop) as runner:
            runner.run(told(story))

    return run


Tell = Callable[[Callable[[Scene], Awaitable[None]]], None]


def test_a_link_cut_anywhere_in_a_message_heals_and_leaves_nothing(tell: Tell) -> None:
    async def story(scene: Scene) -> None:
        level = await scene.level()
        for size in CUTS:
            scene.cable.break_next_after = size
            await scene.cable.cut()
            await scene.world.until(lambda: scene.cable.break_next_after is None)
            await scene.heal()
        await scene.settle_to(level)

    tell(story)


def test_a_link_that_flaps_gives_nobody_wrong_bytes_and_refuses_nobody(tell: Tell) -> None:
    async def story(scene: Scene) -> None:
        level = await scene.level()
        chance = random.Random(8)
        outcomes: Counter[str] = Counter()
        clients = [
            asyncio.create_task(_client(scene, chance.randbytes(1 << 15), outcomes))
            for _ in range(10)
        ]
        for _ in range(20):
            await asyncio.sleep(chance.uniform(0.02, 0.3))
            await scene.cable.cut()
        await scene.heal()
        await scene.world.until(lambda: outcomes["whole"] > len(clients))
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        assert set(outcomes) <= {"whole", "reset"}
        await scene.settle_to(level)

    tell(story)


def test_a_link_that_is_cut_every_second_serves_in_between_and_leaves_nothing(tell: Tell) -> None:
    async def story(scene: Scene) -> None:
        level = await scene.level()
        agents = scene.world.daemon.status().counters["agents_started"]
        outcomes: Counter[str] = Counter()
        client = asyncio.create_task(_client(scene, random.Random(1).randbytes(1 << 12), outcomes))
        for flaps in range(1, FLAPS + 1):
            await scene.cable.cut()
            await asyncio.sleep(FLAP_SECONDS)
            served = outcomes["whole"]
            await scene.world.until(lambda: outcomes["whole"] > served)  # noqa: B023
            assert scene.world.daemon.status().counters["links_lost"] >= flaps
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        await scene.heal()
        assert set(outcomes) <= {"whole", "reset"}
        assert outcomes["reset"] <= FLAPS
        assert scene.world.daemon.status().counters["agents_started"] == agents
        await scene.settle_to(level)

    tell(story)


async def _client(scene: Scene, words: bytes, outcomes: Counter[str]) -> None:
    """Asks again and again; what it hears is all of it, or it is told that it is not."""
    while True:
        try:
            heard = await scene.ask(words)
        except (ConnectionResetError, BrokenPipeError):
            outcomes["reset"] += 1
        except ConnectionRefusedError:
            outcomes["refused"] += 1
        else:
            outcomes["whole" if heard == words else f"{len(heard)} bytes"] += 1


def test_a_slow_link_that_loses_carries_every_byte_and_is_not_given_up(tell: Tell) -> None:
    async def story(scene: Scene) -> None:
        scene.cable.delay, scene.cable.loss = 0.1, 0.01
        lost = scene.world.daemon.status().counters["links_lost"]
        words = [random.Random(n).randbytes(1 << 18) for n in range(20)]
        assert await asyncio.gather(*map(scene.ask, words)) == words
        new = quiet_ports(1)
        scene.machine.appear(new)
        async with asyncio.timeout(HEAL_SECONDS):
            await scene.world.until(lambda: scene.world.states(new) == {"sandbox": "active"})
        assert scene.world.daemon.status().counters["links_lost"] == lost

    tell(story)


def test_a_link_that_falls_silent_is_paused_in_time_and_its_flows_lose_nothing(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("link.session.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("link.session.BEAT_SECONDS", 0.2)

    async def story(scene: Scene) -> None:
        level = await scene.level()
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        words = random.Random(1).randbytes(1 << 20)
        scene.cable.hold()
        writer.write(words)
        writer.write_eof()
        late = asyncio.create_task(scene.ask(b"I came while it was silent"))
        async with asyncio.timeout(HEAL_SECONDS):
            await scene.world.until(lambda: scene.world.states(scene.port) == {"sandbox": "paused"})
        assert scene.state == "reconnecting"
        scene.cable.release()
        await scene.heal()
        assert await asyncio.wait_for(reader.read(-1), PATIENCE) == words
        writer.close()
        assert await late == b"I came while it was silent"
        await scene.settle_to(level)

    tell(story)


@pytest.mark.parametrize(("runs", "most_agents"), [(False, 1), (True, 9)])
def test_a_silent_agent_is_replaced_unless_its_whole_machine_stands_still(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, runs: bool, most_agents: int
) -> None:
    monkeypatch.setattr("link.session.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("link.session.BEAT_SECONDS", 0.1)
    monkeypatch.setattr("desktop.daemon.link.HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr("desktop.daemon.attachment.REATTACH_SECONDS", 0.5)

    async def story(scene: Scene) -> None:
        def agents() -> int:
            return scene.world.daemon.status().counters["agents_started"]

        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        scene.machine.state_told = "running" if runs else "stopped"
        scene.cable.hold()
        if runs:
            await scene.world.until(lambda: agents() > 1)
        else:
            asked = scene.machine.asked
            await scene.world.until(lambda: scene.machine.asked > asked + 1)
        scene.cable.release()
        await scene.heal()
        assert 1 <= agents() <= most_agents
        if runs:
            with pytest.raises(ConnectionResetError):
                await reader.read(5)
        else:
            writer.write(b"after")
            assert await reader.readexactly(5) == b"after"
        writer.close()

    tell(story)


def test_what_keeps_streams_from_being_opened_is_said_when_it_begins_and_not_at_each_try(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Scene) -> None:
        def retried() -> int:
            return scene.world.daemon.status().counters["streams_retried"]

        async def fail(_: object) -> None:
            raise TransportError("Too many open files")

        with monkeypatch.context() as short:
            short.setattr("tests.bad_cable._CableTransport.open", fail)
            clients = [asyncio.create_task(scene.ask(b"I wait")) for _ in range(BASE_STREAMS + 4)]
            await scene.world.until(lambda: retried() > MANY_TRIES)
        assert await asyncio.gather(*clients) == [b"I wait"] * len(clients)
        await scene.heal()

    tell(story)
    said = caplog.text.count("could not be opened: Too many open files")
    assert 0 < said < MANY_TRIES / 4  # one that was under way may have come through meanwhile
