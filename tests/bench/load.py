"""Running the load program, on the desktop or in the container.

Counterparts: `load.c`, `datagrams.c`, `listeners.c` and `detection.c`, which say what each command
does.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from desktop.errors import SamehostError

__all__ = [
    "READY_SECONDS",
    "Background",
    "Load",
    "build_load",
    "free_block",
    "free_port",
    "wait_for",
    "wait_for_echo",
]

COMMAND_SECONDS: Final = 150.0
READY_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
ECHO: Final = b"e"
ECHO_SECONDS: Final = 0.2
FLAGS: Final = ("-O3", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
SOURCES: Final = ("load.c", "sha256.c", "datagrams.c", "listeners.c", "detection.c")
PORTS: Final = range(20000, 30000)
"""Below the ports that kernels choose for clients."""
BLOCKS: Final = range(10000, 32000)
"""The same for many ports in a row."""


def build_load(target: Path) -> None:
    """Compile the load program. Raises SamehostError."""
    if shutil.which("gcc") is None:
        raise SamehostError("the bench needs gcc", "sudo apt-get install gcc libc6-dev")
    sources = (str(Path(__file__).with_name(name)) for name in SOURCES)
    command = ["gcc", *FLAGS, "-o", str(target), *sources]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SamehostError(
            f"the load program does not compile: {result.stderr}", "is libc6-dev there?"
        )


def free_port(avoid: Sequence[int] = ()) -> int:
    """A port that nothing on this computer has for TCP or UDP. Raises SamehostError.

    By chance, since another Samehost's machine has what this one mirrors on the desktop.
    """
    for port in random.sample(PORTS, len(PORTS)):
        if port not in avoid and _is_free(port):
            return port
    raise SamehostError(f"no port is free from {PORTS.start} to {PORTS.stop}", "end something")


def free_block(count: int) -> range:
    """So many ports in a row, each as `free_port` has it. Raises SamehostError."""
    start = BLOCKS.start
    for port in BLOCKS:
        if not _is_free(port):
            start = port + 1
        elif port + 1 - start == count:
            return range(start, port + 1)
    raise SamehostError(f"no {count} ports in a row are free", "end something")


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(type=kind) as sock:
                sock.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True


def wait_for(address: str, port: int) -> None:
    """Until something accepts connections there. Raises SamehostError."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.socket() as sock:
            sock.settimeout(READY_SECONDS)
            sock.connect((address, port))
            return
        if time.monotonic() > deadline:
            raise SamehostError(f"{address} port {port} does not answer", "see: samehost logs")
        time.sleep(POLL_SECONDS)


def wait_for_echo(address: str, port: int) -> None:
    """Until a UDP server echoes there. Raises SamehostError."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError, TimeoutError):
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(ECHO_SECONDS)
                sock.connect((address, port))
                sock.send(ECHO)
                if sock.recv(len(ECHO)) == ECHO:
                    return
        time.sleep(POLL_SECONDS)
    raise SamehostError(f"{address} UDP port {port} does not answer", "see: samehost ports")


@dataclass(frozen=True)
class Load:
    """The load program, by the command that runs it."""

    command: tuple[str, ...]

    def run(self, *arguments: object) -> dict[str, Any]:
        """Run to the end; what it says. Raises SamehostError if anything fails."""
        answer = self.attempt(*arguments)
        if answer.get("failures"):
            raise SamehostError(f"the load program had failures: {answer}", "see: samehost logs")
        return answer

    def attempt(self, *arguments: object) -> dict[str, Any]:
        """Run to the end; what it says, which may be of failures. Raises SamehostError."""
        command = [*self.command, *map(str, arguments)]
        words = " ".join(command[len(self.command) :])
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise SamehostError(f"load {words} takes too long", "see: samehost logs") from error
        if result.returncode:
            raise SamehostError(f"load {words} failed: {result.stderr.strip()}")
        return _answer(result.stdout)

    @contextlib.contextmanager
    def running(self, *arguments: object) -> Iterator[Background]:
        """Run in the background, once its first line is there. Raises SamehostError without one."""
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        background = Background(process)
        try:
            background.answer()
            yield background
        finally:
            background.end()


class Background:
    """The load program while it runs; many of its commands run until their input ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self) -> dict[str, Any]:
        """The next line of what it says. Raises SamehostError without one."""
        return _answer(self._process.stdout.readline() if self._process.stdout else "")

    def last_answer(self) -> dict[str, Any]:
        """What it says when its input ends. Raises SamehostError."""
        if self._process.stdin:
            self._process.stdin.close()
        return self.answer()

    def end(self) -> None:
        """See that it has ended."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        self._process.wait(COMMAND_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()


def _answer(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise SamehostError(f"the load program said: {text!r}") from error
    if not isinstance(answer, dict):
        raise SamehostError(f"the load program said: {text!r}")
    return answer
