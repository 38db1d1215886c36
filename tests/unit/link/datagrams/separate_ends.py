"""Both ends of UDP flows, each in a process of its own, on the event loop that it has in life.

    client ─▶ Front (uvloop, as on the desktop) ══ TCP ══▶ Back (as in the agent) ─▶ server

    hold, go            do nothing in between, so that what is sent meanwhile is there at once

Rules: this file is the program of the ends, too; it obeys words on its standard input, of which
each is answered with a line, and ends with that. Either process has one thread.

Counterpart: `test_system_calls.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import uvloop

from link.datagrams.back import Back
from link.datagrams.flow import UNWATCHED
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.datagrams.linux import LinuxDatagramSockets
from link.dial import tune_local
from link.loop import run
from link.opening import OpenReader
from link.pool import StreamPool
from link.wire import OpenRequest

__all__ = ["ADDRESS", "HOLDING_CALLS", "End", "separate_ends"]

ADDRESS: Final = "127.0.0.1"
HOLDING_CALLS: Final = 6
"""System calls of an end to be held and to go on: twice it waits, reads and answers."""
PROJECT: Final = Path(__file__).parents[4]
END_SECONDS: Final = 10.0


class End:
    """One end, from outside."""

    def __init__(self, stream: socket.socket, arguments: Sequence[object]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *map(str, arguments)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[stream.fileno()],
        )

    @property
    def thread(self) -> int:
        """The number of its one thread."""
        return self._process.pid

    def say(self, word: str) -> None:
        """Have it obey. Raises RuntimeError if it does not."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != f"{word}\n":
            raise RuntimeError("an end does not obey: see its standard error")

    def close(self) -> None:
        """Let it end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=END_SECONDS)
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def separate_ends(port: int, server_port: int) -> Iterator[tuple[End, End]]:
    """A Front at `port` of ADDRESS, and a Back whose server is at `server_port`; both serve."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((ADDRESS, 0)))
        near = stack.enter_context(socket.create_connection(listener.getsockname()))
        far = stack.enter_context(listener.accept()[0])
        ends = []
        for role, stream, where in (("front", near, port), ("back", far, server_port)):
            tune_local(stream)
            ends.append(End(stream, (role, stream.fileno(), where)))
            stack.callback(ends[-1].close)
        front, back = ends
        for end in ends:
            end.say("ready")
        yield front, back


# ---- inside


async def _front(stream: socket.socket, port: int) -> None:
    pool = StreamPool(lambda: None)
    pool.put(stream)
    front = Front(
        LinuxDatagramSockets(),
        ADDRESS,
        port,
        target=lambda: OpenRequest(ADDRESS, 1, "udp"),
        pool=pool,
        limits=Limits(),
        watch=UNWATCHED,
    )
    await _obey()
    front.close()


async def _back(stream: socket.socket, port: int) -> None:
    backs: list[Back] = []

    def opened(sock: socket.socket, _request: OpenRequest) -> None:
        back = Back(
            LinuxDatagramSockets(),
            sock,
            ADDRESS,
            port,
            limits=Limits(),
            watch=UNWATCHED,
            on_end=lambda _: None,
        )
        backs.append(back)

    OpenReader(stream, opened, lambda _: None)
    await _obey()
    for back in backs:
        back.close()


async def _obey() -> None:
    """Until the standard input ends."""
    ended = asyncio.Event()

    def listen() -> None:
        word = os.read(0, 100)
        os.write(1, word)
        if word == b"hold\n":
            select.select([0], [], [])  # the loop has made it one that does not wait
            os.write(1, os.read(0, 100))
        elif not word:
            ended.set()

    gc.collect()
    gc.freeze()
    asyncio.get_running_loop().add_reader(0, listen)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(0)


def main(role: str, descriptor: str, port: str) -> None:
    """The program."""
    stream = socket.socket(fileno=int(descriptor))
    stream.setblocking(False)
    if role == "back":
        run(_back(stream, int(port)))
    else:
        uvloop.run(_front(stream, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
