"""A lock on an open file, gone with its process however that ends; and who holds it, in the file.

    open_lock(path) ─▶ take(descriptor) ─▶ write_note ─▶ … ─▶ give_back(path, descriptor)

Rules: the one place that knows which module serves which system. Counterparts:
`filelock_posix.py`, `filelock_windows.py`; `desktop/daemon/lock.py` and `gui/single.py` use it.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Final, Protocol, cast

__all__ = ["Locks", "give_back", "locks", "open_lock", "read_note", "take", "write_note"]

LONGEST_NOTE: Final = 64
FOR_US: Final = 0o600


class Locks(Protocol):
    """What each system's module gives."""

    def take(self, descriptor: int, *, wait: bool = False) -> None:
        """Lock for this process alone. Raises BlockingIOError if somebody else has it."""

    def give_back(self, path: Path, descriptor: int) -> None:
        """Remove the file, if it is there, and close it, which unlocks. Raises OSError."""


def locks(name: str = os.name) -> Locks:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(Locks, importlib.import_module(f"desktop.api.filelock_{kind}"))


def open_lock(path: Path) -> int:
    """Open the file, or make it. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, FOR_US)


def take(descriptor: int, *, wait: bool = False) -> None:
    """See `Locks.take`."""
    locks().take(descriptor, wait=wait)


def give_back(path: Path, descriptor: int) -> None:
    """See `Locks.give_back`."""
    locks().give_back(path, descriptor)


def write_note(descriptor: int, text: str) -> None:
    """Say who has it. Raises OSError."""
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def read_note(descriptor: int) -> str:
    """What whoever has it has said, whether it is locked or not. Raises OSError."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, LONGEST_NOTE).decode(errors="replace")
