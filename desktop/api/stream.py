"""The blocking end of a connection with the control API: a Unix socket, or a named pipe.

    path ─▶ connect(path, seconds) ─▶ Stream

Rules: light, so that a command starts quickly: no asyncio. Counterparts: `pipe_stream.py` for
Windows; `place.py` is the daemon's end; `client.py` and the window use it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final, Protocol, cast

from desktop.api.peers import peer_of
from link.dial import is_connected

__all__ = ["Stream", "address_of", "connect", "is_answered", "listener_of"]

_TIMEVAL: Final = struct.Struct("@ll")
"""struct timeval: seconds, microseconds (socket(7), SO_SNDTIMEO)."""


class Stream(Protocol):
    """What a blocking client needs of a connection; a `socket.socket` is one."""

    def settimeout(self, value: float | None, /) -> None:
        """Seconds that a call may take, which raises TimeoutError after them; None for ever."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it. Raises BrokenPipeError, ConnectionResetError, TimeoutError."""

    def recv(self, bufsize: int, /) -> bytes:
        """Some bytes; b"" at the end. Raises ConnectionResetError, TimeoutError."""

    def close(self) -> None:
        """May be called twice."""


def address_of(path: Path, name: str = os.name) -> str:
    """The place as Qt's QLocalSocket takes it: a path, or the name of a pipe."""
    if name == "nt":
        from desktop.api.pipe_stream import pipe_name

        return pipe_name(path)
    return str(path)


def connect(path: Path, seconds: float, name: str = os.name) -> Stream:
    """Connect within so many seconds. Raises OSError."""
    if name == "nt":
        from desktop.api.pipe_stream import connect_pipe

        return connect_pipe(path, seconds)
    return _connect_unix(path, seconds)


def listener_of(stream: Stream) -> int:
    """The process that listens at the other end. Raises OSError."""
    if isinstance(stream, socket.socket):
        return peer_of(stream).pid
    return cast(_HasListener, stream).listener()


class _HasListener(Protocol):
    """A pipe's end."""

    def listener(self) -> int: ...


def is_answered(address: str, seconds: float, name: str = os.name) -> bool:
    """Whether somebody listens at a place of DOCKER_HOST, as far as that can be seen from here.

    Sockets and pipes are looked at, on the systems that have them; all else is taken to be.
    """
    kind, _, place = address.partition("://")
    try:
        if kind == "unix" and name != "nt":
            _connect_unix(Path(place), seconds).close()
        elif kind == "npipe" and name == "nt":
            from desktop.api.pipe_stream import is_pipe

            return is_pipe(place.replace("/", "\\"), seconds)
    except OSError:
        return False
    return True


def _connect_unix(path: Path, seconds: float) -> socket.socket:
    """Waits for room among those who wait for the daemon, as Python does not (unix(7))."""
    sock = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + seconds
    try:
        # Python takes a `connect` that a signal disturbed for one that goes on by itself.
        while not is_connected(sock):
            left = max(1, int((deadline - time.monotonic()) * 1e6))
            timeout = _TIMEVAL.pack(*divmod(left, 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            sock.connect(os.fspath(path))
            if sys.platform != "linux":
                break  # there nobody waits, and nobody's end can be told from one who has left
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, 0))
    except BaseException:
        sock.close()
        raise
    return sock
