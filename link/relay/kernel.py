"""The kernel calls the splice relay is made of. Linux only.

`os.splice` came with Python 3.10 and the agent runs on 3.9, so there it is called through the C
library. Counterpart: `splice.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Final

__all__ = ["PIPE_SIZE", "PipePool", "splice", "unsent_bytes"]

PIPE_SIZE: Final = 1 << 20
"""Bytes asked for per pipe; the kernel's usual limit (/proc/sys/fs/pipe-max-size).

64 KiB costs a quarter to a half of the throughput with eight streams.
"""
MAX_SPARE_PIPES: Final = 64
F_SETPIPE_SZ: Final = 1031
"""linux/fcntl.h"""
_SPLICE_FLAGS: Final = 1 | 2
"""SPLICE_F_MOVE | SPLICE_F_NONBLOCK, linux/splice.h"""


def _splice_by_os() -> Callable[[int, int, int], int] | None:
    function = getattr(os, "splice", None)
    if function is None:
        return None

    def splice_by_os(source: int, target: int, size: int) -> int:
        return int(function(source, target, size, flags=_SPLICE_FLAGS))

    return splice_by_os


def _splice_by_libc() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None, use_errno=True).splice
    function.restype = ctypes.c_ssize_t
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_uint,
    )

    def splice_by_libc(source: int, target: int, size: int) -> int:
        moved = int(function(source, None, target, None, size, _SPLICE_FLAGS))
        if moved < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return moved

    return splice_by_libc


splice: Callable[[int, int, int], int] = _splice_by_os() or _splice_by_libc()
"""splice(source, target, size) -> bytes moved, 0 at end-of-file; BlockingIOError; OSError."""


def unsent_bytes(descriptor: int) -> int:
    """Bytes in a TCP socket's send queue that the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", answer)[0])


class PipePool:
    """Empty pipes, kept for reuse: making and sizing one costs more than a small flow."""

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        """An empty non-blocking pipe (read end, write end). Raises OSError (EMFILE)."""
        if self._spare:
            return self._spare.pop()
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(pipe[1], F_SETPIPE_SZ, PIPE_SIZE)
        except OSError as error:
            # Over the user's share of pipe memory (pipe(7)) the default size has to do.
            if error.errno not in (errno.EPERM, errno.EBUSY):
                self.discard(pipe)
                raise
        return pipe

    def give_back(self, pipe: tuple[int, int]) -> None:
        """Return an empty pipe."""
        if len(self._spare) < MAX_SPARE_PIPES:
            self._spare.append(pipe)
        else:
            self.discard(pipe)

    def discard(self, pipe: tuple[int, int]) -> None:
        """Close a pipe that may hold bytes."""
        for end in pipe:
            with contextlib.suppress(OSError):
                os.close(end)

    def close(self) -> None:
        """Close every spare pipe."""
        while self._spare:
            self.discard(self._spare.pop())
