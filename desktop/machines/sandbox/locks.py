"""One at a time: an exclusive lock on a folder, across processes and within one.

Rules: the lock is flock(2) on the folder itself, so it needs no file of its own and ends with
its process. The holder may remove the folder; whoever waited for it then notices that the name
means another folder, or none, and starts over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from desktop.api.filelock import take
from desktop.machines.sandbox.programs import run

__all__ = ["held", "is_held"]


@contextlib.asynccontextmanager
async def held(folder: Path) -> AsyncIterator[int]:
    """Hold the lock on `folder`, which is made if it is missing. Raises OSError.

    Gives its descriptor: a process that gets a copy of that holds the lock, too, until it closes
    the copy or ends.
    """
    descriptor = await _acquire(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """True if somebody holds the lock at this moment."""
    import fcntl  # the list of machines imports this on every system

    try:
        descriptor = _open(folder)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


async def _acquire(folder: Path) -> int:
    while True:
        try:
            descriptor = _make_and_open(folder)
        except FileNotFoundError:
            continue
        try:
            await _lock(descriptor)
            if _is_still(folder, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


async def _lock(descriptor: int) -> None:
    try:
        take(descriptor)
    except BlockingIOError:
        # The lock belongs to the open file, not to who asked for it: a child process can wait
        # for us, and unlike a thread it can be cancelled.
        await run("flock", "--exclusive", str(descriptor), pass_fds=(descriptor,))


def _make_and_open(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _open(folder)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except FileNotFoundError:
        return False
