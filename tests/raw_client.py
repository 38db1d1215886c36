"""A connection with a control API on which a test says what it likes, whatever the system has.

Rules: where it is a Unix socket, it is that socket; a named pipe looks as much like one as tests
need. Counterpart: `desktop/api/stream.py`.
"""

from __future__ import annotations

import io
import socket
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from desktop.api.stream import Stream, connect

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["raw_client"]

CONNECT_SECONDS: Final = 30.0


class _Reading(io.RawIOBase):
    """What `makefile` reads by."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`."""
        room = memoryview(buffer)
        data = self._stream.recv(len(room))
        room[: len(data)] = data
        return len(data)


class _PipeAsSocket:
    """A pipe's end with the methods of a socket."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """To read from; closed, it leaves the pipe open."""
        return io.BufferedReader(_Reading(self._stream))


def raw_client(path: Path, seconds: float) -> socket.socket:
    """A connection with whoever serves there, whose calls take so long at most. Raises OSError."""
    stream = connect(path, CONNECT_SECONDS)
    stream.settimeout(seconds)
    if isinstance(stream, socket.socket):
        return stream
    return cast(socket.socket, _PipeAsSocket(stream))
