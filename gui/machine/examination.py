"""Runs `samehost doctor --json`, or the like, and reads what it has found.

Rules: the command is a process of its own, which disturbs neither daemon nor window. A doctor that
finds problems ends with another code than 0, so what it printed counts first.
Counterparts: `child.py`, `findings.py`; `desktop/api/local.py` for the command.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Signal

from gui.child import Child
from gui.machine.findings import Finding, parse
from gui.session import Problem

__all__ = ["Examination"]

END_MS: Final = 3000
"""Time for it to end by itself when it is asked to, so that it leaves nothing behind."""


class Examination(Child):
    """See the module. `found`: the list of `Finding`s; that or `failed` comes, unless stopped."""

    found = Signal(object)

    def __init__(self, parent: QObject | None = None, patience_ms: int = END_MS) -> None:
        super().__init__(patience_ms, parent, keeps_output=True)

    def _ended(self, code: int) -> None:
        try:
            findings: list[Finding] = parse(bytes(self._output))
        except ValueError as error:
            if self._lines or code:
                self._fail(code, list(self._lines))
            else:
                self._say_why(self.tr("the examination says what is not understood: {}"), error)
            return
        self.found.emit(findings)

    def _not_started(self, reason: str) -> None:
        self._say_why(self.tr("the examination cannot be started: {}"), reason)

    def _too_much(self) -> None:
        self._say_why(self.tr("the examination prints without end"))

    def _say_why(self, message: str, detail: object = "") -> None:
        remedy = self.tr("try it in a terminal: samehost doctor")
        self.failed.emit(Problem(message.format(detail), remedy, "FAILED"))
