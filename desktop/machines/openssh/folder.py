"""A folder of our own for control sockets, which goes when we do.

Rules: only this user may enter it, and the paths in it are short enough for ssh(1). Whoever uses it
holds a lock on it (flock(2)); one that nobody holds was left by a daemon that was killed, and is
removed by the next. Limits: POSIX.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from desktop.api.filelock import take

__all__ = ["SocketFolder", "sweep"]

LONGEST_PATH: Final = 103
"""Bytes that every platform takes for a Unix socket (macOS: 104 with the final zero)."""
CONTROL_NAME: Final = "c"
MADE_FIRST_BYTES: Final = 17
"""ssh(1) makes its control socket under a name that is so much longer."""
FOR_US: Final = 0o700


class SocketFolder:
    """One, made below `parent`, or below the folder for temporary files where that is too deep."""

    def __init__(self, parent: Path) -> None:
        self._count = 0
        self._parent = parent
        with _locked(parent):
            _sweep(parent)
            self._path, self._lock = _make(parent)
        if len(os.fsencode(self.control)) + MADE_FIRST_BYTES > LONGEST_PATH:
            self.remove()
            self._path, self._lock = _make(Path(tempfile.gettempdir()), "samehost-")

    @property
    def control(self) -> str:
        """Path of the control socket."""
        return str(self._path / CONTROL_NAME)

    def new(self) -> str:
        """Path of a further socket, in use by nobody."""
        self._count += 1
        return str(self._path / str(self._count))

    def remove(self) -> None:
        """Take it away with all that is in it. May be called twice."""
        if self._lock >= 0:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1
            with contextlib.suppress(OSError):  # others use it, too
                self._parent.rmdir()


def sweep(parent: Path) -> None:
    """Remove what is below `parent` and nobody's any more, and `parent` if nothing is left."""
    if parent.is_dir():
        with _locked(parent):
            _sweep(parent)
        with contextlib.suppress(OSError):
            parent.rmdir()


def _make(parent: Path, prefix: str = "") -> tuple[Path, int]:
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    take(lock)
    return path, lock


@contextlib.contextmanager
def _locked(parent: Path) -> Iterator[None]:
    """One at a time, so that a folder that is being made is not taken for one that was left."""
    while True:
        parent.mkdir(mode=FOR_US, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody else has just removed it
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
            break
    try:
        take(descriptor, wait=True)
        parent.mkdir(mode=FOR_US, exist_ok=True)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove what others have left."""
    for entry in parent.iterdir():
        with contextlib.suppress(OSError):
            descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                take(descriptor)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(descriptor)
