"""A disk that is full in earnest: it is said, mirroring goes on, and agents are replaced."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import require_root
from tests.integration.injured import disk, echo, echoing, mirrored
from tests.integration.samehost import Samehost, quiet_ports, until
from tests.integration.servers import CROWD_ECHO, ECHO

HOME_SIZE = "4m"
STATE_SIZE = "512m"
"""With an engine's images."""
PIECE = bytes(1 << 16)


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """One whose files are on disks of their own: a small one, and another one for machines."""
    require_root()
    samehost = Samehost()
    state = samehost.paths.state
    with contextlib.ExitStack() as stack:
        stack.callback(samehost.remove)
        stack.enter_context(disk(samehost.home, HOME_SIZE))
        state.mkdir()
        stack.enter_context(disk(state, STATE_SIZE))
        stack.callback(samehost.try_run, "down")
        chosen = {"hostNetworkingEnabled": True}
        (samehost.home / "settings.json").write_text(json.dumps(chosen))
        samehost.run("up")
        samehost.load_image()
        yield samehost


@contextlib.contextmanager
def full(*folders: Path) -> Iterator[None]:
    """There is not a byte left."""
    files = [folder / "all-that-is-left" for folder in folders]
    try:
        for file in files:
            with contextlib.suppress(OSError), file.open("wb", buffering=0) as all_of_it:
                while True:
                    all_of_it.write(PIECE)
            assert shutil.disk_usage(file.parent).free == 0
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def test_on_a_full_disk_settings_are_refused_with_a_remedy_and_mirroring_goes_on(
    samehost: Samehost,
) -> None:
    port = quiet_ports(3)
    with mirrored(samehost, CROWD_ECHO, port), mirrored(samehost, ECHO, port + 1, "once"):
        before = samehost.paths.settings_file.read_text()
        with echoing(port) as flow, full(samehost.home, samehost.paths.state):
            done = samehost.try_run("settings", "set", "ignore", f'["machine:tcp:{port}"]')
            assert done.returncode == 1
            assert "No space left" in done.stderr
            assert "make room" in done.stderr
            assert samehost.paths.settings_file.read_text() == before
            assert echo(flow, b"still here") == b"still here"
            said = f"the disk of {samehost.home} is full"
            assert [said in each for each in samehost.status()["troubles"]] == [True, False]
            assert said in samehost.try_run("doctor", "disk").stdout
            with echoing(port + 1):
                until(lambda: samehost.states(port + 1) == [], "the end of a listener")
            with echoing(port):
                assert samehost.states(port) == ["active"]
        assert samehost.status()["troubles"] == []
        samehost.run("settings", "set", "reachHost", "false")
        samehost.run("settings", "set", "reachHost", "true")


def test_an_agent_that_dies_while_the_disk_is_full_is_replaced(samehost: Samehost) -> None:
    """Its file stays: written anew, it would have to find the room that it had, and be first."""
    port = quiet_ports(1)
    bundle = samehost.paths.machine("sandbox") / "agent.pyz"
    written = bundle.stat().st_mtime_ns
    with mirrored(samehost, CROWD_ECHO, port):
        with full(samehost.home, samehost.paths.state):
            agent = samehost.agent()
            os.kill(agent, signal.SIGKILL)
            until(lambda: samehost.agent_if_any() not in (None, agent), "another agent")
            until(lambda: samehost.states(port) == ["active"], "the mirror")
            with echoing(port):
                pass
    assert bundle.stat().st_mtime_ns == written


def test_on_a_disk_that_is_read_only_settings_are_refused_with_the_reason_and_mirroring_goes_on(
    samehost: Samehost,
) -> None:
    port = quiet_ports(1)
    with mirrored(samehost, CROWD_ECHO, port):
        with echoing(port) as flow, read_only(samehost.home):
            done = samehost.try_run("settings", "set", "reachHost", "false")
            assert done.returncode != 0
            assert "Read-only file system" in done.stderr
            assert "Traceback" not in done.stderr
            assert samehost.run("settings", "get", "reachHost").strip() in ("true", "on")
            assert echo(flow, b"still here") == b"still here"
        samehost.run("settings", "set", "reachHost", "false")
        samehost.run("settings", "set", "reachHost", "true")


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whoever comes by its name writes nothing there; what is open stays so."""
    subprocess.run(["mount", "--rbind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--recursive", folder], check=True)


def test_a_runtime_folder_that_is_removed_while_the_disk_is_full_comes_back(
    samehost: Samehost,
) -> None:
    port = quiet_ports(1)
    with mirrored(samehost, CROWD_ECHO, port):
        with echoing(port) as flow:
            daemon = samehost.daemon()
            with full(samehost.home):
                shutil.rmtree(samehost.paths.runtime)
                with full(samehost.home):  # what that took
                    assert echo(flow, b"still here") == b"still here"
            until(lambda: samehost.try_run("status").returncode == 0, "it to be reached")
            assert samehost.daemon() == daemon
            assert echo(flow, b"and now") == b"and now"


def test_on_a_full_disk_up_says_why_it_does_not_start(samehost: Samehost) -> None:
    samehost.run("down")
    with full(samehost.home):
        done = samehost.try_run("up")
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
    samehost.run("up")
    assert samehost.status()["machine"]["state"] == "connected"
