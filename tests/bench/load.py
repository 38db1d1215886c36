"""Running the load program, on the desktop or in the container.

Counterparts: `load.c` and `datagrams.c`, which say what each command does.
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
from typing import Any, Final, Self

from desktop.errors import SamehostError

__all__ = ["Keeper", "Load", "build_load", "free_port", "wait_for", "wait_for_echo"]

COMMAND_SECONDS: Final = 150.0
READY_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
ECHO: Final = b"e"
ECHO_SECONDS: Final = 0.2
FLAGS: Final = ("-O3", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
SOURCES: Final = ("load.c", "datagrams.c")
PORTS: Final = range(20000, 30000)
"""Below the ports that kernels choose for clients."""


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
        if port in avoid:
            continue
        with contextlib.suppress(OSError):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as sock:
                    sock.bind(("0.0.0.0", port))
            return port
    raise SamehostError(f"no port is free from {PORTS.start} to {PORTS.stop}", "end something")


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
    def running(self, *arguments: object) -> Iterator[dict[str, Any]]:
        """Run in the background; its first line is given. Raises SamehostError without one."""
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield _answer(process.stdout.readline() if process.stdout else "")
        finally:
            if process.stdin:
                process.stdin.close()
            process.terminate()
            process.wait(COMMAND_SECONDS)
            if process.stdout:
                process.stdout.close()


class Keeper:
    """Listeners in the container, opened and closed on command. A context manager."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(READY_SECONDS)
        self._socket.connect(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def listen(self, port: int) -> float:
        """Listen on all addresses; when listen() returned, in seconds of time.monotonic."""
        return self._order("listen", port)

    def close(self, port: int) -> float:
        """Close a listener; when close() returned, in seconds of time.monotonic."""
        return self._order("close", port)

    def _order(self, verb: str, port: int) -> float:
        self._socket.sendall(f"{verb} {port}\n".encode())
        answer = _answer(self._socket.recv(4096).decode())
        if "ns" not in answer:
            raise SamehostError(f"the container could not {verb} on port {port}: {answer}")
        return float(answer["ns"]) / 1e9


def _answer(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise SamehostError(f"the load program said: {text!r}") from error
    if not isinstance(answer, dict):
        raise SamehostError(f"the load program said: {text!r}")
    return answer
