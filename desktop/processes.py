"""Ending other programs, and what a person types to do so, on every system, by what is there.

Windows has neither SIGKILL nor process groups to signal: what ends a process there (os.kill, by
TerminateProcess) ends it at once, without its children. Limits: has run there under Wine only, of
which nothing shows a process that was suspended.
"""

from __future__ import annotations

import os
import signal
from typing import Final

__all__ = [
    "KILL",
    "TERMINATE",
    "end_group",
    "ending_words",
    "going_on_words",
    "is_stopped",
    "let_go_on",
]

KILL: Final[signal.Signals] = getattr(signal, "SIGKILL", signal.SIGTERM)
TERMINATE: Final = signal.SIGTERM

HAS_SIGNALS: Final = hasattr(signal, "SIGKILL")


def end_group(leader: int, number: signal.Signals) -> None:
    """Signal a program with all that it has started. Raises ProcessLookupError, PermissionError."""
    getattr(os, "killpg", os.kill)(leader, number)


def is_stopped(pid: int) -> bool:
    """True if a signal has stopped it, or somebody has suspended it (Windows), until told to go on.

    False if it goes on, is gone, or is not told of.
    """
    import psutil

    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except (psutil.Error, OSError):
        return False


def ending_words(pid: int) -> str:
    """What a person types to end it at once."""
    return f"kill -9 {pid}" if HAS_SIGNALS else f"taskkill /f /pid {pid}"


def going_on_words(pid: int) -> str:
    """What a person does so that one that is stopped goes on."""
    if HAS_SIGNALS:
        return f"let it go on: kill -CONT {pid}"
    return f"let it go on in the Resource Monitor (resmon), or end it: {ending_words(pid)}"


def let_go_on(process: int) -> None:
    """Let one go on that a signal has stopped, where signals stop any: it sees others only then.

    Raises ProcessLookupError, PermissionError.
    """
    number = getattr(signal, "SIGCONT", None)
    if number is not None:
        os.kill(process, number)
