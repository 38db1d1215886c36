"""The whole of `samehost` without a machine: a daemon in the background, asked, and ended."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from desktop.api.client import ApiClient
from desktop.daemon.loops import new_event_loop
from desktop.errors import NotRunningError
from desktop.machines.found.tools import ToolError, Tools, ToolTrouble
from desktop.machines.process import ChildProcess
from desktop.paths import Paths

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0

errors: list[str] = []
"""What the last command said on standard error."""


def samehost(*arguments: str, fails: int = 0) -> str:
    """What a verb prints; `errors` has the rest. It must end so."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "desktop.cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == fails, done.stdout + done.stderr
    errors[:] = done.stderr.splitlines()
    return done.stdout


def pid_of(paths: Paths) -> int:
    with ApiClient.connect(paths.api_socket, PATIENCE) as client:
        return client.pid


def test_up_status_and_down_without_a_machine(paths: Paths) -> None:
    samehost("up", "--no-machine")
    try:
        process = psutil.Process(pid_of(paths))
        assert "desktop.daemon" in process.cmdline()
        status = json.loads(samehost("status", "--json", fails=3))
        assert (status["enabled"], status["ports"]["active"]) == (False, 0)
        samehost("enable")
        assert json.loads(samehost("status", "--json"))["enabled"]
        samehost("up", "--no-machine")
        assert "runs already" in errors[0]
    finally:
        samehost("down")
    process.wait(PATIENCE)
    with pytest.raises(NotRunningError):
        ApiClient.connect(paths.api_socket)
    assert not paths.runtime.exists()
    assert "samehost ends" in paths.log_file.read_text()
    assert "Traceback" not in paths.log_file.read_text()


def test_a_killed_daemon_is_told_as_not_running_and_what_it_left_does_not_hinder(
    paths: Paths,
) -> None:
    samehost("up", "--no-machine")
    process = psutil.Process(pid_of(paths))
    process.kill()
    process.wait(PATIENCE)
    assert "not running" in samehost("status", fails=3)
    samehost("up", "--no-machine")
    assert pid_of(paths) != process.pid
    samehost("down")
    assert not paths.runtime.exists()


def test_a_daemon_of_another_version_is_ended_and_cleaned_away(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from desktop.cli.stopping import clean_up, stop_daemon

    samehost("up", "--no-machine")
    process = psutil.Process(pid_of(paths))
    monkeypatch.setattr("desktop.api.client.PROTOCOL", 99)
    said: list[str] = []
    assert stop_daemon(paths, said.append)
    assert "ending it by a signal" in said[0]
    process.wait(PATIENCE)
    clean_up(paths, said.append)
    assert not paths.runtime.exists()


def test_the_doctor_looks_at_what_windows_lets_us_have(paths: Paths) -> None:
    samehost("up", "--no-machine")
    try:
        checks = ("daemon", "protocol", "files-limit", "privileged-ports", "runtime-folder")
        found = json.loads(samehost("doctor", "--json", *checks))
    finally:
        samehost("down")
    assert paths.config.exists()
    text = json.dumps(found)
    assert "Windows sets no limit" in text
    assert "the check is broken" not in text


def test_a_tool_is_asked_and_one_that_hangs_is_ended() -> None:
    tools = Tools(installed=(str(Path(sys.executable).parent),), ask_seconds=PATIENCE)
    name = Path(sys.executable).stem

    async def story() -> None:
        assert (await tools.ask(name, "-c", "print(5)")).split() == [b"5"]
        with pytest.raises(ToolError) as caught:
            await tools.ask(name, "-c", "import sys; sys.exit('no way')")
        assert caught.value.trouble is ToolTrouble.FAILED
        assert caught.value.said.strip() == "no way"
        hasty = Tools(installed=(str(Path(sys.executable).parent),), ask_seconds=3)
        with pytest.raises(ToolError) as caught:
            await hasty.ask(name, "-c", "import time; time.sleep(60)")
        assert caught.value.trouble is ToolTrouble.HANGS
        said: list[str] = []
        await tools.tell(name, "-c", "print('one'); print('two')", progress=said.append)
        assert said == ["one", "two"]

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())


def test_a_program_is_spoken_to_by_one_stream_and_ends_with_its_status() -> None:
    script = (
        "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.exit(7)"
    )
    data = random.randbytes(1 << 20)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        folder = Path(sys.executable).parent
        process = await ChildProcess.start([sys.executable, "-c", script], folder=folder)
        await loop.sock_sendall(process.stream, data)
        process.end_input()
        heard = b""
        while piece := await loop.sock_recv(process.stream, 1 << 16):
            heard += piece
        assert heard == data[::-1]
        assert await process.wait() == 7
        assert await process.errors.read() == b""

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())
