"""Programs that somebody types into, on this computer or in a container, and what they show.

Counterparts: `samehost.py`; `servers.py` has programs that read lines.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.integration.samehost import IMAGE, PATIENCE, Samehost

__all__ = ["Typed", "here", "inside", "python_here", "python_inside"]


class Typed:
    """A running program."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, bufsize=0, env=environment
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._keys, self._screen = self._process.stdin, self._process.stdout
        self._unread = b""

    def types(self, line: str) -> None:
        """Type a line."""
        self._keys.write(line.encode() + b"\n")

    def shows(self) -> str:
        """The next line on its screen; "" if none comes."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._unread:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self._screen], [], [], left)[0]:
                return ""
            part = os.read(self._screen.fileno(), 4096)
            if not part:
                return ""
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def end(self) -> None:
        """End it, if it has not."""
        self._process.kill()
        self._process.wait()
        self._keys.close()
        self._screen.close()


@contextlib.contextmanager
def here(*command: str) -> Iterator[Typed]:
    """A command on this computer."""
    program = Typed(list(command), dict(os.environ))
    try:
        yield program
    finally:
        program.end()


@contextlib.contextmanager
def inside(samehost: Samehost, name: str, *command: str) -> Iterator[Typed]:
    """A command in a host-networked container of that name."""
    options = ["-i", "--rm", "--net=host", f"--name={name}", "-v", "/:/desktop:ro", IMAGE]
    run = samehost.command("docker", "run", *options, *command)
    program = Typed(run, samehost.environment)
    try:
        yield program
    finally:
        program.end()
        samehost.try_run("docker", "rm", "-f", name)


def python_here(code: str, *arguments: str) -> contextlib.AbstractContextManager[Typed]:
    """Python code on this computer."""
    return here(sys.executable, "-u", "-c", code, *arguments)


def python_inside(
    samehost: Samehost, name: str, code: str, *arguments: str
) -> contextlib.AbstractContextManager[Typed]:
    """Python code in a host-networked container, with the interpreter of this computer."""
    python = ["busybox", "chroot", "/desktop", "/usr/bin/python3", "-u", "-c", code, *arguments]
    return inside(samehost, name, *python)
