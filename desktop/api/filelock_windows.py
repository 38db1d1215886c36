"""Locks on Windows: LockFileEx, of one byte far behind the note, which others may then read.

Source: learn.microsoft.com, "LockFileEx" (bytes beyond the end may be locked; the lock ends with
the process; ERROR_LOCK_VIOLATION if it is held), OVERLAPPED of minwinbase.h. Not msvcrt.locking,
which tries once a second and gives up after ten. An open file cannot be removed there, so it is
closed first, and stays if the next one has opened it meanwhile.
Limits: has run under Wine only. Counterpart: `filelock.py`.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import logging
import os
from pathlib import Path
from typing import Final

from desktop.api.win32 import last_error, library, windows_error

__all__ = ["give_back", "take"]

LOCKED_BYTE: Final = 1 << 20

LOCKFILE_FAIL_IMMEDIATELY: Final = 0x1
LOCKFILE_EXCLUSIVE_LOCK: Final = 0x2
"""minwinbase.h, fileapi.h."""
ERROR_LOCK_VIOLATION: Final = 33
"""winerror.h."""

log = logging.getLogger(__name__)


class _Overlapped(ctypes.Structure):
    """OVERLAPPED: where the lock begins."""

    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset", ctypes.c_uint32),
        ("offset_high", ctypes.c_uint32),
        ("event", ctypes.c_void_p),
    )


def take(descriptor: int, *, wait: bool = False) -> None:
    """See `filelock.Locks.take`. Raises OSError."""
    handle = importlib.import_module("msvcrt").get_osfhandle(descriptor)
    flags = LOCKFILE_EXCLUSIVE_LOCK | (0 if wait else LOCKFILE_FAIL_IMMEDIATELY)
    where = _Overlapped(offset=LOCKED_BYTE)
    lock = library("kernel32").LockFileEx
    if lock(ctypes.c_void_p(handle), flags, 0, 1, 0, ctypes.byref(where)):
        return
    number = last_error()
    if number == ERROR_LOCK_VIOLATION:
        raise BlockingIOError(errno.EACCES, "another process has the lock")
    raise windows_error("the file cannot be locked", number)


def give_back(path: Path, descriptor: int) -> None:
    """See `filelock.Locks.give_back`."""
    os.close(descriptor)
    try:
        path.unlink(missing_ok=True)
    except PermissionError as error:
        log.debug("%s stays, for the next one has it open: %s", path, error)
