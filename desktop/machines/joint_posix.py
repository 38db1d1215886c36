"""On Linux and macOS a program takes the other end of the socket. Counterpart: `joint.py`."""

from __future__ import annotations

import socket

from desktop.machines.joint import Joint

__all__ = ["make"]


async def make() -> Joint:
    """See `joint.make_joint`."""
    return _Socket()


class _Socket(Joint):
    """A pair of sockets."""

    def __init__(self) -> None:
        self.stream, self._far = socket.socketpair()
        self.stream.setblocking(False)
        self.input = self.output = self._far.fileno()

    def started(self) -> None:
        """See `Joint.started`."""
        self._far.close()

    async def aclose(self) -> None:
        """See `Joint.aclose`."""
        self._far.close()
        self.stream.close()
