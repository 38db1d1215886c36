"""One daemon at a time per folders: who holds the lock may write settings and run machines.

Rules: flock(2) on a file, which ends with its process however that ends. The file is removed on
release, while it is still locked; whoever waited for it notices that the name means another
file, or none, and starts over. Not for use across threads.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from desktop.api.socketfile import private_folder
from desktop.errors import ConflictError

__all__ = ["DaemonLock"]

_LONGEST_NUMBER: Final = 20


class DaemonLock:
    """The lock, as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock. Raises ConflictError if it is held, PermissionDeniedError."""
        private_folder(self._path.parent)
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_still(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                    self._descriptor = descriptor
            except BlockingIOError:
                holder = os.pread(descriptor, _LONGEST_NUMBER, 0).decode(errors="replace")
                raise ConflictError(
                    f"Samehost is running already (process {holder or 'unknown'})",
                    "to end it: samehost down",
                ) from None
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def renew(self) -> bool:
        """Take the lock again if somebody removed its file; True if so.

        Raises as `acquire`, a ConflictError if another daemon has it now.
        """
        lost = self._descriptor
        if lost is None or self._is_still(lost):
            return False
        self._descriptor = None
        try:
            self.acquire()
        except BaseException:
            self._descriptor = lost
            raise
        os.close(lost)
        return True

    def release(self) -> None:
        """Give the lock back and remove its file. May be called twice."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            if self._is_still(descriptor):
                self._path.unlink()
        finally:
            os.close(descriptor)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False
