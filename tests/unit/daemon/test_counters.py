"""Each thing that is dropped, refused or tried again is counted under its name."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from link.listener import Listener
from link.messages import Counts, Delta, StubKey, StubResult, StubResults
from link.shortages import shortages
from link.wire import OpenRequest
from tests.daemon_world import DaemonWorld, machines, tell
from tests.fake_machine import FakeRegistry
from tests.quiet_ports import quiet_ports

__all__ = ["machines"]


@pytest.fixture(autouse=True)
def no_shortages_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are of the process, and other tests have had some."""
    for name in ("files", "memory", "ports", "pauses"):
        monkeypatch.setattr(shortages, name, 0)


def counted(world: DaemonWorld) -> dict[str, int]:
    """All counters that are not 0."""
    return {name: count for name, count in world.daemon.status().counters.items() if count}


def test_an_agent_that_is_linked_with_is_one_that_was_started(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        assert counted(world) == {"agents_started": 1}

    tell(tmp_path, machines, story)


def test_a_link_that_was_lost_is_counted_and_so_is_the_next_agent(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        agent = world.machine("sandbox").agent
        assert agent is not None
        agent.kill()
        await world.until(lambda: counted(world).get("agents_started") == 2)
        await world.until(lambda: world.attached() == {"sandbox": "connected"})
        assert counted(world)["links_lost"] == 1

    tell(tmp_path, machines, story)


def test_what_a_machine_may_not_reach_is_refused_and_counted(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        ports = world.daemon._mirroring.machine("sandbox")
        ports.pool.readiness.watch(near.fileno(), lambda _mask: None)
        ports.opened(near, OpenRequest("127.0.0.1", 9))
        assert counted(world)["flows_refused"] == 1
        far.close()

    tell(tmp_path, machines, story)


def test_a_mirror_that_cannot_be_opened_is_counted_with_each_try(
    tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story(world: DaemonWorld) -> None:
        port = quiet_ports(1)
        with socket.create_server(("127.0.0.1", port)):
            world.machine("sandbox").appear(port)
            await world.until(lambda: counted(world).get("port_opens_failed", 0) > 1)
        await world.until(lambda: world.states(port) == {"sandbox": "active"})

    tell(tmp_path, machines, story)


def test_what_the_agent_tells_is_counted(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story(world: DaemonWorld) -> None:
        ports = world.daemon._mirroring.machine("sandbox")
        ports.message(StubResults((StubResult(StubKey("127.0.0.1", 9), is_open=False, errno=98),)))
        ports.message(Delta(7, 7, (), ()))
        ports.message(Counts({"events_lost": 3, "of_a_later_version": 1}))
        assert counted(world) == {
            "agents_started": 1,
            "stub_opens_failed": 1,
            "snapshots_repeated": 1,
            "agent_events_lost": 3,
        }

    tell(tmp_path, machines, story)


@pytest.mark.parametrize("error", [OSError(errno.ENOBUFS, "No buffer space"), MemoryError()])
def test_looks_that_fail_are_counted_said_once_and_forget_nothing(
    tmp_path: Path,
    machines: FakeRegistry,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_exclude: frozenset[int]) -> list[Listener]:
        raise error

    async def story(world: DaemonWorld) -> None:
        def ports() -> list[int]:
            return [row.host_port for row in world.daemon.ports()[1]]

        def failed() -> int:
            return counted(world).get("listener_scans_failed", 0)

        for times in (1, 2):
            world.source.add(Listener(times, "tcp", "127.0.0.1", times))
            await world.until(lambda: len(ports()) == times)  # noqa: B023
            before = failed()
            with monkeypatch.context() as failing:
                failing.setattr(world.source, "scan", fail)
                await world.until(lambda: failed() > before + 1)  # noqa: B023
            assert len(ports()) == times
            assert caplog.text.count("listeners could not be read") == times

    tell(tmp_path, machines, story)
