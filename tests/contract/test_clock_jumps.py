"""The computer's clock jumps to and fro: nothing that lasts is measured by it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop
from tests.quiet_ports import quiet_ports

__all__ = ["machines"]

JUMPS: Final = 40
JUMP_EVERY_SECONDS: Final = 0.1
"""Several beats in all, as they are here, at each of which the lease is looked at."""
DAY: Final = 86_400.0
BUSY: Final = 0.5
"""Share of a processor: a loop that never rests takes all of it."""


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the clock otherwise each time: a day or more, to and fro."""
    monkeypatch.setattr("link.session.BEAT_SECONDS", 0.2)
    right, right_ns = time.time, time.time_ns
    offsets = itertools.cycle((DAY, -DAY, 0.0, -9 * DAY, 9 * DAY))

    def set_clock() -> None:
        offset = next(offsets)
        monkeypatch.setattr(time, "time", lambda: right() + offset)
        monkeypatch.setattr(time, "time_ns", lambda: right_ns() + int(offset * 1e9))

    return set_clock


def test_a_clock_that_jumps_both_ways_costs_no_link_no_mirror_and_no_time(
    jump: Callable[[], None], tmp_path: Path, machines: FakeRegistry
) -> None:
    async def story() -> None:
        port, later = quiet_ports(2), quiet_ports(2)
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            world.machine("sandbox").appear(port)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            used, begin = time.process_time(), time.monotonic()
            for _ in range(JUMPS):
                jump()
                await asyncio.sleep(JUMP_EVERY_SECONDS)
                assert world.states(port) == {"sandbox": "active"}
                assert world.attached() == {"sandbox": "connected"}
            busy = (time.process_time() - used) / (time.monotonic() - begin)
            world.machine("sandbox").appear(later)
            await world.until(lambda: world.states(later) == {"sandbox": "active"})
            assert world.daemon.status().counters["links_lost"] == 0
            assert world.daemon.status().uptime_s < time.monotonic() - begin + 60
        assert busy < BUSY

    with asyncio.Runner(loop_factory=new_other_loop) as runner:
        runner.run(story())
