"""Commands that go on for long, and whether anybody reads what they say."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from operator import methodcaller
from typing import Any

import pytest

from desktop.cli.reader import reader_system
from desktop.paths import Paths
from tests.ended import ended
from tests.served_backend import ServedBackend

PATIENCE = 30
AT_ONCE = 0.0
SOON = 0.05
TWICE = 2
POLL: Any = getattr(select, "poll", None)
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows does not tell")


class Late:
    """In the place of select.poll: an interrupt comes as it begins, before it sleeps."""

    def __init__(self) -> None:
        self._poll = POLL()
        self.register = self._poll.register

    def poll(self, milliseconds: float | None) -> Any:
        asking = partial(self._poll.poll, milliseconds)
        # One after the other, with none of Python's own steps between them.
        both = map(methodcaller("__call__"), (ctypes.pythonapi.PyErr_SetInterrupt, asking))
        return list(both)[-1]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@posix_only
def test_waiting_ends_with_a_word_while_somebody_reads(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    try:
        theirs.send(b"word")
        reader_system("posix").wait(writing, ours, None)
        reader_system("posix").wait(writing, None, AT_ONCE)
    finally:
        os.close(reading)
        os.close(writing)


@posix_only
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_waiting_ends_when_nobody_reads_any_more(
    ends: tuple[socket.socket, socket.socket], kind: str
) -> None:
    ours, _ = ends
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (each.detach() for each in socket.socketpair())
    os.close(reading)
    try:
        with pytest.raises(BrokenPipeError):
            reader_system("posix").wait(writing, ours, None)
        with pytest.raises(BrokenPipeError):
            reader_system("posix").wait(writing, None, PATIENCE)
    finally:
        os.close(writing)


@posix_only
def test_an_interrupt_that_comes_as_the_wait_begins_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(select, "poll", Late)
    reading, writing = os.pipe()
    begin = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            reader_system("posix").wait(writing, None, PATIENCE)
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(reading)
        os.close(writing)
    assert time.monotonic() - begin < PATIENCE, "it was heard with the end of the wait"


@posix_only
def test_a_signal_that_lets_the_command_go_on_ends_no_wait(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    heard: list[int] = []

    def handle(*_: object) -> None:
        heard.append(len(heard))
        if len(heard) == TWICE:
            theirs.send(b"word")
        else:
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    reading, writing = os.pipe()
    timer = threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        reader_system("posix").wait(writing, ours, None)
        assert len(heard) == TWICE
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
        os.close(writing)


def test_a_file_is_always_there(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.send(b"word")
    with open(os.devnull, "w", encoding="utf-8") as file:
        for name in {os.name, "nt"}:
            reader_system(name).wait(file.fileno(), ours, None)
            reader_system(name).wait(file.fileno(), None, AT_ONCE)


@posix_only
@pytest.mark.parametrize(
    "arguments", [["ports", "--watch", "--json"], ["ports", "--watch"], ["logs", "-f"]]
)
def test_a_command_that_follows_ends_with_its_reader_though_nothing_changes(
    served: ServedBackend,  # noqa: ARG001 - it is asked
    paths: Paths,
    arguments: list[str],
) -> None:
    paths.logs.mkdir(exist_ok=True)
    paths.log_file.write_text("a line\n", encoding="utf-8")
    command = [sys.executable, "-m", "desktop.cli.main", *arguments]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline()
        follower.stdout.close()
        assert follower.wait(PATIENCE) == 0
