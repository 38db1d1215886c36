"""One daemon at a time per folders: who holds the lock may write settings and run machines.

Rules: a lock on a file (`desktop/api/filelock.py`), which ends with its process however that ends.
The file is removed on release, while it is still locked where that can be; whoever waited for it
notices that the name means another file, or none, and starts over. Not for use across threads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from desktop.api.filelock import give_back, open_lock, read_note, take, write_note
from desktop.api.socketfile import private_folder
from desktop.errors import ConflictError

__all__ = ["DaemonLock", "HeldError"]


class HeldError(ConflictError):
    """Another process has the lock: `holder`, as it says itself, or "unknown"."""

    def __init__(self, holder: str) -> None:
        words = f"Samehost is running already (process {holder})"
        super().__init__(words, "to end it: samehost down")
        self.holder = holder


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
        """Take the lock. Raises HeldError if another has it, PermissionDeniedError."""
        while self._descriptor is None:
            private_folder(self._path.parent)
            try:
                descriptor = open_lock(self._path)
            except FileNotFoundError:
                continue  # whoever had the lock has just removed the folder, too
            try:
                take(descriptor)
                if self._is_still(descriptor):
                    write_note(descriptor, str(os.getpid()))
                    self._descriptor = descriptor
            except BlockingIOError:
                raise HeldError(read_note(descriptor) or "unknown") from None
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def renew(self) -> bool:
        """Take the lock again if somebody removed its file; True if so.

        Raises as `acquire`, a HeldError if another daemon has it now.
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
        if self._is_still(descriptor):
            give_back(self._path, descriptor)
        else:
            os.close(descriptor)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False
