"""Locks on Windows: msvcrt.locking, of one byte far behind the note, which others may then read.

Source: docs.python.org, `msvcrt.locking` (bytes beyond the end may be locked; LK_NBLCK raises
OSError at once, LK_LOCK after ten tries of a second); learn.microsoft.com, "_locking" (the first
with EACCES, the second with EDEADLOCK; another number is another error). An open file cannot be
removed there, so it is closed first, and stays if the next one has opened it meanwhile.
Limits: has never run on Windows. Counterpart: `filelock.py`.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
from pathlib import Path
from typing import Final

__all__ = ["give_back", "take"]

LOCKED_BYTE: Final = 1 << 20
HELD: Final = frozenset({errno.EACCES, errno.EDEADLK})

log = logging.getLogger(__name__)


def take(descriptor: int, *, wait: bool = False) -> None:
    """See `filelock.Locks.take`."""
    msvcrt = importlib.import_module("msvcrt")
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in HELD:
                raise
            if not wait:
                raise BlockingIOError(error.errno, "another process has the lock") from error
        else:
            return


def give_back(path: Path, descriptor: int) -> None:
    """See `filelock.Locks.give_back`."""
    os.close(descriptor)
    try:
        path.unlink(missing_ok=True)
    except PermissionError as error:
        log.debug("%s stays, for the next one has it open: %s", path, error)
