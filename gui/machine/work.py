"""Does what the person wants with a machine: asks the daemon, shows how it goes, asks the person.

Rules: one thing at a time. Ended by the person, the daemon gives it up. However it ends, no
question is left open. Counterparts: `activity.py` shows it, `question.py` asks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QWidget

from gui.machine.activity import Activity
from gui.machine.entries import Action
from gui.machine.pending import Pending
from gui.machine.question import Questions
from gui.machine.words import cut
from gui.parts import plain
from gui.session import Problem, Session

__all__ = ["Work"]

translate = QCoreApplication.translate

LONGEST_NAME: Final = 100


def _words(action: Action) -> tuple[str, str, str]:
    """While it is under way, when it is done, when it has failed."""
    return {
        Action.USE: (
            translate("MachineWork", "Changing to {}…"),
            translate("MachineWork", "{} is the current machine."),
            translate("MachineWork", "{} could not be made the current machine"),
        ),
        Action.ATTACH: (
            translate("MachineWork", "Attaching {}…"),
            translate("MachineWork", "{} is attached."),
            translate("MachineWork", "{} could not be attached"),
        ),
        Action.DETACH: (
            translate("MachineWork", "Detaching {}…"),
            translate("MachineWork", "{} is detached, and runs on."),
            translate("MachineWork", "{} could not be detached"),
        ),
        Action.START: (
            translate("MachineWork", "Starting {}…"),
            translate("MachineWork", "{} runs."),
            translate("MachineWork", "{} could not be started"),
        ),
        Action.STOP: (
            translate("MachineWork", "Stopping {}…"),
            translate("MachineWork", "{} is stopped."),
            translate("MachineWork", "{} could not be stopped"),
        ),
    }[action]


def _shown(name: str) -> str:
    return plain(cut(name, LONGEST_NAME))


class Work(QObject):
    """See the module. `changed` when something begins or ends; `done` with the machine's name."""

    changed = Signal()
    done = Signal(str)

    def __init__(self, session: Session, activity: Activity, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._activity = activity
        self._questions = Questions(parent)
        self._call = Pending(self)
        self._name = ""
        activity.cancelled.connect(self.cancel)

    @property
    def is_running(self) -> bool:
        """Something is under way."""
        return self._call.is_running

    def begin(self, action: Action, name: str) -> None:
        """Do that with this machine, unless something else is under way."""
        if self.is_running or action is Action.EXAMINE:
            return
        self._name, shown = name, _shown(name)
        under_way, done, failed = (words.format(shown) for words in _words(action))
        self._activity.begin(under_way)

        def then(_: Any) -> None:
            self._over(partial(self._activity.end, done))

        def fails(problem: Problem) -> None:
            self._over(partial(self._activity.fail, failed, problem))

        call = self._session.call(
            action.value,
            {"name": name},
            then=then,
            fails=fails,
            progress=self._activity.tell,
            ask=self._questions.asker(shown),
        )
        self._call.began(call)
        self.changed.emit()

    def cancel(self) -> None:
        """Give it up."""
        if self._call.cancel():
            words = self.tr("{}: given up. The table shows how it is now.")
            self._over(partial(self._activity.end, words.format(_shown(self._name))))
            self._session.refresh()

    def _over(self, say: Callable[[], None]) -> None:
        self._call.over()
        self._questions.withdraw()
        self.changed.emit()
        say()
        self.done.emit(self._name)
