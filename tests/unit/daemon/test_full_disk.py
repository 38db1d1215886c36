"""No room on the disk, or settings that are torn: it is said, and mirroring goes on."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from desktop.errors import SamehostError
from desktop.paths import Paths
from tests.capabilities import POSIX_FILES, needs
from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop
from tests.quiet_ports import quiet_ports

__all__ = ["machines"]

Story = Callable[[DaemonWorld, int], Awaitable[None]]


@pytest.fixture
def tell(tmp_path: Path, machines: FakeRegistry) -> Callable[[Story], None]:
    """Tells a story of a daemon with one mirror, which is there from first to last."""

    async def told(story: Story) -> None:
        port = quiet_ports(1)
        async with asyncio.timeout(60), DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            world.machine("sandbox").appear(port)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            since = world.rows(port)["sandbox"].since
            await story(world, port)
            assert world.rows(port)["sandbox"].since == since

    def run(story: Story) -> None:
        with asyncio.Runner(loop_factory=new_other_loop) as runner:
            runner.run(told(story))

    return run


def test_settings_that_cannot_be_stored_are_refused_and_mirroring_goes_on(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DaemonWorld, port: int) -> None:
        before = world.paths.settings_file.read_text()
        with monkeypatch.context() as full:
            full.setattr("os.fsync", no_room)
            with pytest.raises(SamehostError, match="No space left") as caught:
                await world.daemon.set_setting("ignore", [f"machine:tcp:{port}"])
        assert "make room" in caught.value.remedy
        assert world.paths.settings_file.read_text() == before
        assert world.states(port) == {"sandbox": "active"}
        await world.daemon.set_setting("reachHost", False)

    tell(story)


def no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_settings_file_that_is_torn_under_the_daemon_is_told_and_changes_nothing(
    tell: Callable[[Story], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: DaemonWorld, port: int) -> None:
        file = world.paths.settings_file
        file.write_bytes(file.read_bytes()[:-4])
        await world.until(lambda: f"{file} is not JSON" in caplog.text)
        assert world.daemon.status().enabled
        assert world.states(port) == {"sandbox": "active"}
        file.write_text(json.dumps({"hostNetworkingEnabled": True, "reachHost": False}))
        await world.until(
            lambda: {e.key: e.value for e in world.daemon.settings()}["reachHost"] is False
        )

    tell(story)


def test_a_torn_settings_file_that_is_kept_is_in_the_status_until_it_is_removed(
    tell: Callable[[Story], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: DaemonWorld, _: int) -> None:
        def problems() -> str:
            return " ".join(world.daemon.status().settings_problems)

        file = world.paths.settings_file
        file.write_text('{"reachHost": fal')
        await world.until(lambda: "is not JSON" in problems())
        for key, value in (("reachHost", False), ("portBinding", "localhost")):
            await world.daemon.set_setting(key, value)
        assert f"is kept as {file}.broken" in problems()
        assert caplog.text.count("is kept as") == 1
        file.with_name("settings.json.broken").unlink()
        await world.until(lambda: problems() == "")

    tell(story)


def test_a_daemon_that_ends_says_so(tmp_path: Path, machines: FakeRegistry) -> None:
    async def story() -> None:
        async with DaemonWorld(tmp_path, machines) as world:
            assert not world.daemon.status().ending
            await world.daemon.shutdown(say_nothing)
            assert world.daemon.status().ending

    asyncio.run(story())


def values(world: DaemonWorld) -> list[tuple[str, object]]:
    return [(setting.key, setting.value) for setting in world.daemon.settings()]


LOGGING = """
import logging, resource, sys
from pathlib import Path
from desktop.daemon.main import _log_to
from desktop.paths import Paths

_log_to(Paths.under(Path(sys.argv[1])))
logging.warning("before")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
for number in range(100):
    logging.warning("no room for %d", number)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
logging.warning("after")
"""
"""As a daemon's log, whose standard error leads into the same file, on a disk that fills up."""


@needs(POSIX_FILES)
def test_a_log_for_which_there_is_no_room_hinders_nobody_and_goes_on_once_there_is(
    tmp_path: Path,
) -> None:
    log = Paths.under(tmp_path).log_file
    log.parent.mkdir()
    with log.open("ab") as errors:
        done = subprocess.run(
            [sys.executable, "-c", LOGGING, str(tmp_path)], stderr=errors, timeout=30, check=False
        )
    assert done.returncode == 0
    lines = log.read_text().splitlines()
    assert lines[0].endswith("before")
    assert lines[-1].endswith("after")
