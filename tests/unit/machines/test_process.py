"""A child process as a process of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from desktop.machines import process as module
from desktop.machines.joint import make_joint
from desktop.machines.process import ChildProcess
from tests import stories
from tests.loops import LOOPS
from tests.streams import receive_all


@pytest.fixture(params=["posix", "nt"], autouse=True)
def joint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of joining a program to its stream, that of Windows with the pipes that are here."""
    monkeypatch.setattr(module, "make_joint", lambda: make_joint(request.param))


@pytest.fixture(params=LOOPS.values(), ids=list(LOOPS))
def tell(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Runs a story on every event loop."""

    return lambda story: stories.run(story, request.param)


Tell = Callable[[Callable[[], Awaitable[Any]]], Any]


def test_it_reads_and_writes_one_stream_and_ends_with_its_status(tell: Tell) -> None:
    async def story() -> None:
        process = await ChildProcess.start(["sh", "-c", "cat; echo end; echo trouble >&2; exit 7"])
        assert process.stream.gettimeout() == 0
        await asyncio.get_running_loop().sock_sendall(process.stream, b"words ")
        process.end_input()
        process.end_input()
        assert await receive_all(process.stream) == b"words end\n"
        assert await process.wait() == 7
        assert await process.errors.read() == b"trouble\n"
        assert await process.wait() == 7
        assert process.stream.fileno() == -1

    tell(story)


def test_much_passes_both_ways_at_the_pace_of_who_reads(tell: Tell) -> None:
    async def story() -> None:
        process, loop = await ChildProcess.start(["cat"]), asyncio.get_running_loop()
        data = os.urandom(1 << 22)

        async def send() -> None:
            await loop.sock_sendall(process.stream, data)
            process.end_input()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.1)
        assert not sending.done(), "who does not read has to be waited for"
        assert await receive_all(process.stream) == data
        await sending
        assert await process.wait() == 0

    tell(story)


def test_its_errors_are_logged_line_by_line_but_for_one_that_is_endless(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        endless = "head --bytes 300000 /dev/zero | tr '\\0' x >&2; echo >&2"
        process = await ChildProcess.start(["sh", "-c", f"echo one >&2; {endless}; echo two >&2"])
        with caplog.at_level(logging.INFO):
            await process.log_errors(logging.getLogger(__name__), "a program")
        process.kill()  # one whose errors nobody reads any more would wait for ever
        await process.wait()

    tell(story)
    lines = [each.getMessage() for each in caplog.records if each.name == __name__]
    assert (lines[0], lines[-1]) == ("a program: one", "a program: two")
    assert all(len(line) < 100_000 for line in lines)


def test_one_that_takes_no_more_can_be_awaited_while_it_is_spoken_to(tell: Tell) -> None:
    async def story() -> None:
        process = await ChildProcess.start(["sh", "-c", "exec <&-; echo deaf; exec sleep 0.2"])
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(process.stream, 100) == b"deaf\n"
        with contextlib.suppress(BrokenPipeError):
            await loop.sock_sendall(process.stream, b"hello?")
        assert await process.wait() == 0

    tell(story)


def test_one_that_is_killed_says_so(tell: Tell) -> None:
    async def story() -> None:
        process = await ChildProcess.start(["sleep", "1000"])
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        process.kill()

    tell(story)


def test_its_end_is_seen_though_another_process_has_its_standard_error(tell: Tell) -> None:
    async def story() -> None:
        process = await ChildProcess.start(["sh", "-c", "sleep 1000 >&2 & echo $!"])
        heir = int(await asyncio.get_running_loop().sock_recv(process.stream, 100))
        try:
            assert await process.wait() == 0
        finally:
            os.kill(heir, signal.SIGKILL)

    tell(story)


def test_what_is_not_there_is_an_error_and_leaves_no_descriptor(tell: Tell) -> None:
    async def story() -> None:
        counts = []
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                await ChildProcess.start(["/no/such/program"])
            for _ in range(10):  # turns of the loop, in which it closes what was closed
                await asyncio.sleep(0)
            counts.append(len(os.listdir("/dev/fd")))
        assert counts[1] == counts[2], "the first may have opened what the loop keeps"

    tell(story)


def test_its_environment_and_folder_are_as_given(tell: Tell) -> None:
    async def story() -> bytes:
        script = ["/bin/sh", "-c", 'echo "$WORD $(pwd)"']
        process = await ChildProcess.start(script, environment={"WORD": "so"}, folder="/usr")
        said = await receive_all(process.stream)
        await process.wait()
        return said

    assert tell(story) == b"so /usr\n"


def test_ctrl_c_of_a_terminal_does_not_reach_it(tell: Tell) -> None:
    async def story() -> int:
        process = await ChildProcess.start(["sleep", "1000"])
        session = os.getsid(process.pid)
        process.kill()
        await process.wait()
        return session - process.pid

    assert tell(story) == 0
