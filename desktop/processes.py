"""Ending other programs, on every system, by the numbers that are there.

Windows has neither SIGKILL nor process groups to signal: what ends a process there (os.kill, by
TerminateProcess) ends it at once, without its children. Limits: has run under Wine only.
"""

from __future__ import annotations

import os
import signal
from typing import Final

__all__ = ["KILL", "TERMINATE", "end_group"]

KILL: Final[signal.Signals] = getattr(signal, "SIGKILL", signal.SIGTERM)
TERMINATE: Final = signal.SIGTERM


def end_group(leader: int, number: signal.Signals) -> None:
    """Signal a program with all that it has started. Raises ProcessLookupError, PermissionError."""
    getattr(os, "killpg", os.kill)(leader, number)
