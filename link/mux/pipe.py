"""What the pump reads and writes: one stream socket, or two descriptors of a process.

Rules: never waits; raises BlockingIOError instead, and OSError when the other end is gone. It owns
its descriptors. Counterpart: `pump.py`.
"""

from __future__ import annotations

import abc
import os
import socket

__all__ = ["DescriptorPipe", "Pipe", "SocketPipe"]


class Pipe(abc.ABC):
    """Both directions.

    Attributes:
        source: the descriptor to wait on for bytes.
        sink: that to wait on for room; it may be the same.
    """

    source: int
    sink: int

    @abc.abstractmethod
    def read_into(self, buffer: memoryview) -> int:
        """Bytes read; 0 at the end. Raises OSError."""

    @abc.abstractmethod
    def write(self, data: memoryview) -> int:
        """Bytes written. Raises OSError."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close it. May be called twice."""


class SocketPipe(Pipe):
    """A stream socket, which this owns from now on."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.source = self.sink = sock.fileno()

    def read_into(self, buffer: memoryview) -> int:
        """See `Pipe.read_into`."""
        return self._sock.recv_into(buffer)

    def write(self, data: memoryview) -> int:
        """See `Pipe.write`."""
        return self._sock.send(data)

    def close(self) -> None:
        """See `Pipe.close`."""
        self._sock.close()


class DescriptorPipe(Pipe):
    """Two descriptors, such as standard input and output: pipes, sockets or terminals.

    That they do not block is seen by every process that has the same open file (fcntl(2)).
    """

    def __init__(self, source: int, sink: int) -> None:
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        self.source, self.sink = source, sink
        self._is_closed = False

    def read_into(self, buffer: memoryview) -> int:
        """See `Pipe.read_into`."""
        return os.readv(self.source, [buffer])

    def write(self, data: memoryview) -> int:
        """See `Pipe.write`."""
        return os.write(self.sink, data)

    def close(self) -> None:
        """See `Pipe.close`."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self.source)
            os.close(self.sink)
