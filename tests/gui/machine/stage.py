"""The page Machine and the hands of a person: selects, presses, reads.

Counterpart: `conftest.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.fake import FakeBackend
from gui.machine.page import MachinePage
from gui.machine.question import QuestionDialog
from gui.machine.stopping import StopDialog
from gui.machine.table import MachineTable
from gui.session import Session
from tests.gui.stage import MACHINE
from tests.served_backend import ServedBackend

__all__ = ["MACHINE", "NEVER", "OTHER", "RUNNING", "Stage"]

OTHER: Final = "lima-old"
RUNNING: Final = "podman"
NEVER: Final = "docker-orbstack"

W = TypeVar("W", bound=QWidget)


class Stage:
    """See the module. `doctor` is the Python code that stands for `samehost`."""

    def __init__(self, qtbot: QtBot, served: ServedBackend, session: Session) -> None:
        self.qtbot = qtbot
        self.served = served
        self.session = session
        self.doctor = "print('[]')"
        self.page = MachinePage(session, command=self._command)
        qtbot.addWidget(self.page)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", self.doctor, *arguments]

    @property
    def backend(self) -> FakeBackend:
        """The daemon's; its coroutines belong to another thread."""
        return self.served.backend

    @property
    def table(self) -> MachineTable:
        """The machines that there are."""
        return self.find(MachineTable, "machines-table")

    def find(self, kind: type[W], name: str) -> W:
        """The widget of that name."""
        found = self.page.findChild(kind, name)
        assert isinstance(found, kind), name
        return found

    def text(self, name: str) -> str:
        """What a label says, "" if it is hidden."""
        label = self.find(QLabel, name)
        return label.text() if label.isVisible() else ""

    def press(self, name: str) -> None:
        """Press a button, which must be possible."""
        button = self.find(QPushButton, name)
        assert button.isEnabled(), name
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def is_offered(self, name: str) -> bool:
        """A button can be pressed."""
        return self.find(QPushButton, name).isEnabled()

    def act(self, machine: str, button: str) -> None:
        """Do something with a machine."""
        self.table.select(machine)
        self.press(button)

    def enter(self, name: str, text: str) -> None:
        """Type into a field, in the place of what is there."""
        field = self.find(QLineEdit, name)
        field.clear()
        QTest.keyClicks(field, text)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        self.qtbot.waitUntil(condition)

    def until_done(self) -> None:
        """Until what was begun has ended, and machines were looked for after it."""
        choosing = self.page.choosing
        self.until(lambda: not choosing.work.is_running and not choosing.searching.is_running)

    def until_asked(self) -> QuestionDialog:
        """The question that comes."""
        return self._until_seen(QuestionDialog)

    def until_asked_to_stop(self) -> StopDialog:
        """The question that comes before a machine is stopped."""
        return self._until_seen(StopDialog)

    def _until_seen(self, kind: type[W]) -> W:
        seen: list[W] = []

        def look() -> bool:
            dialog = self.dialog(kind)
            seen.extend([dialog] if dialog is not None else [])
            return bool(seen)

        self.until(look)
        return seen[0]

    def dialog(self, kind: type[W]) -> W | None:
        """A dialog that is to be seen."""
        windows: list[QWidget] = QApplication.topLevelWidgets()
        seen = [each for each in windows if isinstance(each, kind) and each.isVisible()]
        return seen[0] if seen else None

    def calls(self) -> list[str]:
        """What the daemon was asked."""
        return self.served.do(lambda: list(self.backend.calls))

    def hold(self) -> None:
        """Let what is begun next wait in the daemon."""
        self.served.do(self.backend.gate.clear)

    def let_go(self) -> None:
        """Let it go on."""
        self.served.do(self.backend.gate.set)
