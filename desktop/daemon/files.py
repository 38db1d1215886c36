"""How many files the daemon may open: raised at its start as far as the system lets it.

A mirror takes one descriptor, a TCP flow two, a UDP flow one. Mirrors, their connections and the
streams ahead leave some to the rest of the daemon, or nobody could ask it what is wrong. On Windows
there is no such limit.
"""

from __future__ import annotations

import importlib
import os
from typing import Final, Protocol, cast

from desktop.daemon.host_system import system_of
from desktop.mirror.systems import System

__all__ = ["ENOUGH_FILES", "RESERVED_FILES", "are_files_short", "is_reserved", "raise_file_limit"]

WANTED_FILES: Final = 1 << 20
"""The kernel's own ceiling by default (fs.nr_open, proc(5))."""
ENOUGH_FILES: Final = 1 << 14
"""With fewer, a container that opens some thousand ports, or as many flows, is too much."""

RESERVED_FILES: Final = 64
"""The last descriptors: for the control API, the control session, and looks at processes."""


class _System(Protocol):
    """What each system's module gives."""

    def soft_limit(self) -> int | None:
        """Descriptors that this process may have; None for no limit."""

    def raise_limit(self, wanted: int) -> None:
        """Allow so many, or as many as can be had."""


def _system(name: str = os.name) -> _System:
    kind = "windows" if name == "nt" else "posix"
    return cast(_System, importlib.import_module(f"desktop.daemon.files_{kind}"))


_here: Final = _system()


def is_reserved(descriptor: int) -> bool:
    """True for a descriptor that mirrors and flows should give back at once.

    A new one has the lowest number that is free (open(2)), so its number tells how many there
    are, but for gaps, which are used up first.
    """
    soft = _here.soft_limit()
    return soft is not None and descriptor + RESERVED_FILES >= soft


def are_files_short() -> bool:
    """True if the next descriptor is a reserved one, or there is none."""
    if _here.soft_limit() is None:
        return False
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(lowest)
    return is_reserved(lowest)


def raise_file_limit(enough: int = ENOUGH_FILES, system: System | None = None) -> str:
    """Allow as many files as can be had. What is to be said of it; "" for at least `enough`."""
    _here.raise_limit(WANTED_FILES)
    soft = _here.soft_limit()
    if soft is None or soft >= enough:
        return ""
    more = (system or system_of()).more_files(enough)
    return (
        f"only {soft} files may be open at once, enough for about {soft // 2} connections: {more}, "
        "and start Samehost again"
    )
