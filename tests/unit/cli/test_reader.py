"""Commands that go on for long, and whether anybody reads what they say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from desktop.cli.reader import reader_system
from desktop.paths import Paths
from tests.ended import ended
from tests.served_backend import ServedBackend

PATIENCE = 30
AT_ONCE = 0.0
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows does not tell")


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
