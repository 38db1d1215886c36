"""Locks on Linux and macOS: flock(2), which is of the open file. Counterpart: `filelock.py`."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["give_back", "take"]


def take(descriptor: int, *, wait: bool = False) -> None:
    """See `filelock.Locks.take`."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def give_back(path: Path, descriptor: int) -> None:
    """See `filelock.Locks.give_back`. The file goes while it is locked: it is still ours."""
    try:
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
