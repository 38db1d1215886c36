"""What the relay does with pipes, of which the kernel gives each user a share (pipe(7))."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from link.readiness import SHORT_TURNS
from link.relay import halves
from link.relay.framed import RAW_AFTER
from link.relay.halves import SHORT_TURN_BYTES, TURN_BYTES, Half
from link.relay.kernel import (
    F_GETPIPE_SZ,
    MAX_SPARE_PIPES,
    MOST_LARGE,
    PIPE_SIZE,
    REFUSALS,
    SMALLEST,
    PipePool,
    splice,
)
from link.relay.splice import SpliceFlow, SpliceRelay
from tests.contract.relay_stage import Ends, Joined, Run, run_on_loop
from tests.contract.test_relay_sizes import exchange
from tests.streams import receive_exactly, send

__all__ = ["run_on_loop"]

SOMEBODY: Final = 412_113
"""A user with no pipes, so that nobody's share is used up but his."""
PROGRAM: Final = """
import json, os, sys
from tests.contract.test_relay_pipes import short_of_pipes
os.setuid(int(sys.argv[1]))
print(json.dumps(short_of_pipes()))
"""
BULK: Final = 20 << 20


@pytest.fixture
def pool() -> Iterator[PipePool]:
    pool = PipePool()
    yield pool
    pool.close()


def size_of(pipe: tuple[int, int]) -> int:
    """The bytes that it takes."""
    return fcntl.fcntl(pipe[1], F_GETPIPE_SZ)


def taken(pool: PipePool) -> tuple[int, int]:
    """One that is there."""
    pipe = pool.take()
    assert pipe is not None
    return pipe


def short_of_pipes() -> dict[str, Any]:
    """What a pool does whose user has no share left, and once he has one again."""
    early, hoard = PipePool(), []
    while size_of(pipe := os.pipe()) >= SMALLEST:
        fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, SMALLEST)
        hoard.append(pipe)
    pool = PipePool()
    while_short = pool.take()
    for each in (*hoard, pipe):
        pool.discard(each)
    until_asked = [pool.take() for _ in range(REFUSALS)]
    return {
        "of before": [size_of(taken(early)) for _ in range(MAX_SPARE_PIPES)],
        "while short": while_short,
        "until it asks again": [each for each in until_asked if each],
        "then": size_of(taken(pool)),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_user_without_a_share_gets_no_tiny_pipes_and_large_ones_once_there_is_room() -> None:
    limit = 2 * 1024 + 100  # the usual share of 64 MiB, in pipes of 64 KiB
    done = subprocess.run(
        ["prlimit", f"--nofile={limit}", sys.executable, "-c", PROGRAM, str(SOMEBODY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "of before": [PIPE_SIZE] * MAX_SPARE_PIPES,
        "while short": None,
        "until it asks again": [],
        "then": PIPE_SIZE,
    }


def test_no_more_than_its_part_of_the_share_is_in_large_pipes(pool: PipePool) -> None:
    pipes = [taken(pool) for _ in range(MOST_LARGE + 2)]
    assert [size_of(pipe) for pipe in pipes] == [PIPE_SIZE] * MOST_LARGE + [SMALLEST] * 2
    pool.discard(pipes.pop(0))
    pipes.append(taken(pool))
    assert size_of(pipes[-1]) == PIPE_SIZE
    for pipe in pipes:
        pool.discard(pipe)


def test_a_few_large_pipes_are_kept(pool: PipePool) -> None:
    pipes = [taken(pool) for _ in range(MOST_LARGE + 2)]
    for pipe in reversed(pipes):
        pool.give_back(pipe)
    again = {taken(pool) for _ in range(MAX_SPARE_PIPES)}
    assert again == set(pipes[MOST_LARGE - MAX_SPARE_PIPES : MOST_LARGE])
    for pipe in again:
        pool.discard(pipe)


class NoPipes(PipePool):
    """There never is one."""

    def take(self) -> None:
        """None."""
        return


def test_without_pipes_bulk_is_copied_and_arrives_whole_both_ways(run_on_loop: Run) -> None:
    async def story() -> None:
        relays = SpliceRelay(), SpliceRelay()
        for relay in relays:
            relay.pipes = NoPipes()
        ends = Ends(*relays)
        flow = Joined(ends)
        there, back = os.urandom(BULK), os.urandom(BULK)
        await asyncio.wait_for(exchange(flow, there, back), 60)
        flow.close()
        assert ends.count == 0
        await ends.aclose()

    run_on_loop(story())


def asked_of_pipes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes are to be moved at once, each time from now on."""
    asked: list[int] = []

    def noted(source: int, target: int, size: int) -> int:
        asked.append(size)
        return splice(source, target, size)

    monkeypatch.setattr(halves, "splice", noted)
    return asked


async def ask(flow: Joined) -> None:
    """A question of the client, and the server's answer."""
    for sender, reader in ((flow.client, flow.server), (flow.server, flow.client)):
        await send(sender, b"word")
        assert await receive_exactly(reader, 4) == b"word"


def test_bulk_moves_in_short_pieces_beside_questions_and_in_long_ones_without(
    run_on_loop: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_of_pipes(monkeypatch)

    async def most_asked(ends: Ends, size: int) -> int:
        asked.clear()
        flow = Joined(ends)
        await asyncio.wait_for(exchange(flow, os.urandom(size), b""), 60)
        flow.close()
        return max(asked)

    async def story() -> None:
        ends = Ends(SpliceRelay(), SpliceRelay())
        small = Joined(ends)
        assert await most_asked(ends, BULK) == TURN_BYTES
        await ask(small)
        assert await most_asked(ends, SHORT_TURN_BYTES * 16) == SHORT_TURN_BYTES
        assert await most_asked(ends, SHORT_TURN_BYTES * SHORT_TURNS + BULK) == TURN_BYTES
        small.close()
        await small.wait_end()
        await ends.aclose()

    run_on_loop(story())


def test_a_question_counts_in_a_flow_that_was_bulk_before(run_on_loop: Run) -> None:
    async def fill(sender: socket.socket, reader: socket.socket, half: Half) -> None:
        """Send so much that there are no frames any more."""
        while not half.is_raw:
            piece = bytes(RAW_AFTER)
            await asyncio.gather(send(sender, piece), receive_exactly(reader, len(piece)))

    async def story() -> None:
        ends = Ends(SpliceRelay(), SpliceRelay())
        flow = Joined(ends)
        await ask(flow)
        assert isinstance(flow.flow, SpliceFlow)
        assert isinstance(flow.served, SpliceFlow)
        await fill(flow.client, flow.server, flow.flow.outgoing)
        await fill(flow.server, flow.client, flow.served.outgoing)
        for relay in (ends.opener, ends.listener):
            assert isinstance(relay, SpliceRelay)
            relay.readiness.short_turns = 0
        await ask(flow)
        for relay in (ends.opener, ends.listener):
            assert isinstance(relay, SpliceRelay)
            assert relay.readiness.short_turns == SHORT_TURNS
        flow.close()
        await flow.wait_end()
        await ends.aclose()

    run_on_loop(story())
