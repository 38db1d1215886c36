"""The kernel calls the splice relay is made of. Linux only.

`os.splice` came with Python 3.10 and the agent runs on 3.9, so there it is called through the C
library. Counterpart: `splice.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Final

__all__ = [
    "MAX_SPARE_PIPES",
    "MOST_LARGE",
    "PIPE_SIZE",
    "REFUSALS",
    "SMALLEST",
    "PipePool",
    "splice",
    "unsent_bytes",
]

PIPE_SIZE: Final = 1 << 20
"""Bytes asked for per pipe; the kernel's usual limit (/proc/sys/fs/pipe-max-size).

64 KiB costs a quarter to a half of the throughput with eight streams.
"""
SMALLEST: Final = 1 << 16
"""Bytes of a pipe as the kernel makes it, if the user's share allows that (pipe(7))."""
MOST_LARGE: Final = 24
"""Pipes of PIPE_SIZE at a time; of a user's 64, all programs' together."""
MAX_SPARE_PIPES: Final = 8
REFUSALS: Final = 64
"""How often none is asked for after one that was too small: each try costs five system calls."""
F_SETPIPE_SZ: Final = 1031
F_GETPIPE_SZ: Final = 1032
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
    """Empty pipes, some kept for reuse: making and sizing one costs more than a small flow.

    Limits: all pipes of a user who is not root share 64 MiB, those of other programs too
    (/proc/sys/fs/pipe-user-pages-soft); beyond that the kernel makes pipes of a page or two, and
    to copy is faster than they are. So only MOST_LARGE are large at a time, MAX_SPARE_PIPES are
    kept, from the start on, when others may not have used up the share yet, and what is smaller
    than SMALLEST is not used.
    """

    def __init__(self) -> None:
        self._large: set[int] = set()
        self._refusals = 0
        made = [self._make() for _ in range(MAX_SPARE_PIPES)]
        self._spare = [pipe for pipe in made if pipe is not None]

    def take(self) -> tuple[int, int] | None:
        """An empty non-blocking pipe (read end, write end); None if copying serves better now."""
        if self._spare:
            return self._spare.pop()
        if self._refusals:
            self._refusals -= 1
            return None
        pipe = self._make()
        if pipe is None:
            self._refusals = REFUSALS
        return pipe

    def _make(self) -> tuple[int, int] | None:
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # of EMFILE, ENFILE
            return None
        size = _size_of(pipe[1], PIPE_SIZE if len(self._large) < MOST_LARGE else SMALLEST)
        if size < SMALLEST:
            self.discard(pipe)
            return None
        if size > SMALLEST:
            self._large.add(pipe[0])
        return pipe

    def give_back(self, pipe: tuple[int, int]) -> None:
        """Return an empty pipe."""
        if pipe[0] in self._large and len(self._spare) < MAX_SPARE_PIPES:
            self._spare.append(pipe)
        else:
            self.discard(pipe)

    def discard(self, pipe: tuple[int, int]) -> None:
        """Close a pipe that may hold bytes."""
        self._large.discard(pipe[0])
        for end in pipe:
            with contextlib.suppress(OSError):
                os.close(end)

    def close(self) -> None:
        """Close every spare pipe."""
        while self._spare:
            self.discard(self._spare.pop())


def _size_of(pipe: int, wanted: int) -> int:
    """The bytes that a pipe takes, which is made that large if the kernel allows it."""
    try:
        return fcntl.fcntl(pipe, F_SETPIPE_SZ, wanted)
    except OSError:  # EPERM: over the user's share, or over pipe-max-size; ENOMEM
        return fcntl.fcntl(pipe, F_GETPIPE_SZ)
