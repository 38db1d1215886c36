"""Hands the draft to the daemon: checks values as they are typed, and applies them on demand.

Rules: what is a good value only the daemon knows (`check_setting`); the newest one is checked when
typing has paused. Values are applied one after the other, and one that fails stops none of the
others, unless the daemon has gone. Counterparts: `draft.py`, `page.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import QObject, QTimer, Signal

from gui.session import Call, Link, Problem, Session

__all__ = ["Applier", "Checker", "words_of"]

TYPING_MS: Final = 150
"""A pause in typing."""


def words_of(problem: Problem) -> str:
    """What is wrong, and what to do."""
    return f"{problem.message} ({problem.remedy})" if problem.remedy else problem.message


class Checker(QObject):
    """Has values checked. `checked` carries key, value and what is wrong, "" for nothing."""

    checked = Signal(str, object, str)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._due: dict[str, object] = {}
        self._calls: dict[str, Call] = {}
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(TYPING_MS)
        self._pause.timeout.connect(self._check)

    def check(self, key: str, value: object) -> None:
        """Have a value checked soon, in the place of an earlier one of that setting."""
        self.forget(key)
        self._due[key] = value
        self._pause.start()

    def forget(self, key: str) -> None:
        """What is wrong with an earlier value is of no interest any more."""
        self._due.pop(key, None)
        call = self._calls.pop(key, None)
        if call is not None:
            call.cancel()

    def forget_all(self) -> None:
        """The same, of all settings."""
        for key in {*self._due, *self._calls}:
            self.forget(key)

    def _check(self) -> None:
        due, self._due = self._due, {}
        for key, value in due.items():
            self._ask(key, value)

    def _ask(self, key: str, value: object) -> None:
        def tell(error: str) -> None:
            self._calls.pop(key, None)
            self.checked.emit(key, value, error)

        def fails(problem: Problem) -> None:
            # Without the daemon nothing is known of the value; the window says that it is gone.
            tell(words_of(problem) if self._session.link is Link.READY else "")

        self._calls[key] = self._session.call(
            "check_setting", {"key": key, "value": value}, then=lambda _: tell(""), fails=fails
        )


class Applier(QObject):
    """Applies values. `done` when all have been tried, or the daemon has gone."""

    applied = Signal(str, object)
    failed = Signal(str, object, str)
    done = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._left: list[tuple[str, object]] = []
        self._call: Call | None = None
        self.is_busy = False
        session.linkChanged.connect(self._look)

    def apply(self, changes: Sequence[tuple[str, object]]) -> None:
        """Begin to apply values by key. Not while it is busy."""
        self._left = list(changes)
        self.is_busy = True
        self._next()

    def _next(self) -> None:
        if not self._left:
            self._end()
            return
        key, value = self._left.pop(0)

        def then(_: Any) -> None:
            self._call = None
            self.applied.emit(key, value)
            self._next()

        def fails(problem: Problem) -> None:
            self._call = None
            # Later: if it failed because the daemon has gone, the session knows by then.
            QTimer.singleShot(0, self, lambda: self._fail(key, value, problem))

        self._call = self._session.call(
            "set_setting", {"key": key, "value": value}, then=then, fails=fails
        )

    def _fail(self, key: str, value: object, problem: Problem) -> None:
        if self.is_busy:
            self.failed.emit(key, value, words_of(problem))
            self._next()

    def _look(self) -> None:
        """A daemon that has gone is no fault of a setting; all the rest stays to be applied."""
        if self.is_busy and self._session.link is not Link.READY:
            if self._call is not None:
                self._call.cancel()
            self._end()

    def _end(self) -> None:
        self._call = None
        self._left = []
        self.is_busy = False
        self.done.emit()
