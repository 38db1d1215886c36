"""How often a daemon wakes while nothing happens: that is what a computer at rest pays for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from desktop.listeners.source import PACE
from link.loop import DirectLoop
from link.polling import AdaptiveInterval
from link.socket_counts import SocketCounts
from tests import stories
from tests.capabilities import LINUX_KERNEL, needs
from tests.daemon_world import DaemonWorld, machines
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]

SECONDS: Final = 2.0
MOST_A_SECOND: Final = 7
"""Sockets are counted five times, and all else mostly comes together with that."""


class Waits:
    """How often a loop has waited for something."""

    def __init__(self, loop: DirectLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._select = loop._direct.select
        monkeypatch.setattr(loop._direct, "select", self._counted)

    def _counted(self, timeout: float | None = None) -> object:
        self.count += timeout is None or timeout > 0
        return self._select(timeout)


@needs(LINUX_KERNEL)
def test_a_daemon_at_rest_wakes_a_few_times_a_second(
    tmp_path: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop)
        async with DaemonWorld(tmp_path, machines) as world:
            mirroring = world.daemon._mirroring
            mirroring._interval = AdaptiveInterval(loop.time(), fast=PACE.slow, slow=PACE.slow)
            await asyncio.sleep(PACE.slow)
            waits = Waits(loop, monkeypatch)
            await asyncio.sleep(SECONDS)
            assert 0 < waits.count <= SECONDS * MOST_A_SECOND

    # Others on this computer may come and go.
    monkeypatch.setattr(SocketCounts, "read", lambda _self: (b"1",))
    stories.run(story, DirectLoop)
