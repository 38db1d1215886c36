"""What runs in the guest: the agent's door on a vsock port, and streams that do as they are told.

`python -m tests.e2e.vsock_far` serves PORT until a stream says so; then it runs the tests of vsock
that need a kernel with its loopback, and ends with their exit status.

The first byte of a stream says what it wants: ECHO, STALL, RESET, CLOSE, LEAVE.
Counterpart: `test_vsock.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import Final

from link.relay.relay import reset_socket
from vmagent.doors.vsock import VsockEntrance

__all__ = ["CLOSE", "ECHO", "LAST_WORDS", "LEAVE", "PORT", "RESET", "STALL"]

PORT: Final = 5000
ECHO, STALL, RESET, CLOSE, LEAVE = b"e", b"s", b"r", b"c", b"l"
LAST_WORDS: Final = b"last words of the guest"


class Far:
    """The streams that came in."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, stream: socket.socket) -> None:
        """Serve one."""
        task = asyncio.get_running_loop().create_task(self._serve(stream), name="stream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        wish = await loop.sock_recv(stream, 1)
        if wish == STALL:
            await self.is_over.wait()
        elif wish == RESET:
            reset_socket(stream)
        elif wish == CLOSE:
            await loop.sock_sendall(stream, LAST_WORDS)
        elif wish == LEAVE:
            self.is_over.set()
        while wish == ECHO and (data := await loop.sock_recv(stream, 1 << 16)):
            await loop.sock_sendall(stream, data)
        stream.close()


async def serve() -> None:
    """Until it is over."""
    far = Far()
    reader, _ = os.pipe()  # standing in for what the desktop keeps open
    os.dup2(reader, sys.stdin.fileno())
    entrance = VsockEntrance(PORT)
    entrance.begin(far.admit, lambda _reason: None)
    await far.is_over.wait()
    entrance.close()


def main(report: str) -> int:
    """Serve, and test."""
    asyncio.run(serve())
    tests = ["tests/contract/test_transports.py", "tests/unit/vmagent/test_vsock_door.py"]
    options = ["-q", "-rs", "--color=no", "-p", "no:cacheprovider", "-k", "vsock"]
    command = [sys.executable, "-m", "pytest", *options, f"--junit-xml={report}", *tests]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
