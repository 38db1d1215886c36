"""Starts the daemon: a process of `samehost up --no-machine`, which ends once the daemon serves.

Rules: one at a time. What it says on standard error is progress; if it fails, the end of that is
the reason. Stopped, it takes back what it began. The daemon itself is no child of ours, and
outlives the window.
Counterparts: `child.py`; `desktop/cli/up.py`, `desktop/api/local.py` for the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QObject, Signal

from gui.child import Child

__all__ = ["Starter"]

STOP_MS: Final = 7000
"""What it may take to end the daemon that it has begun to start."""


class Starter(Child):
    """See the module. `command` is the program and its arguments."""

    started = Signal()

    def __init__(self, command: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(STOP_MS, parent)
        self._command = list(command)

    def start(self) -> None:
        """Start it, unless that is under way. Then comes `started` or `failed`, later."""
        if not self.is_running:
            self.run(self._command)

    def _ended(self, code: int) -> None:
        if code == 0:
            self.started.emit()
        else:
            self._fail(code, list(self._lines))

    def _not_started(self, reason: str) -> None:
        self._fail(-1, [f"samehost: {self._command[0]}: {reason}"])
