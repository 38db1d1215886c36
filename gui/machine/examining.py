"""Examines this computer and a machine, and shows what was found: problems first, with remedies.

Rules: nothing is changed by it, and it needs no daemon. Counterparts: `examination.py` runs it,
`finding_rows.py` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui import icons
from gui.machine.activity import Activity
from gui.machine.examination import Examination
from gui.machine.finding_rows import FindingRows
from gui.machine.findings import Finding, in_order, summary
from gui.machine.words import cut
from gui.parts import Heading, Hint, plain
from gui.session import Problem

__all__ = ["Command", "Examining"]

Command = Callable[..., list[str]]
"""The command line that runs a verb of `samehost`: `desktop.api.local.verb_command`."""


class Examining(QWidget):
    """See the module. `command` makes the command line of a verb of `samehost`.

    Signals:
        told: the lines of progress.
        began, ended: an examination has, and there is something new to see.
    """

    told = Signal(str)
    began = Signal()
    ended = Signal()

    def __init__(self, command: Command, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._examination = Examination(self)
        self._activity = Activity(self)
        self._activity.setObjectName("examination")
        self._rows = FindingRows(self)
        self._rows.setObjectName("examination-findings")
        self._button = QPushButton(self.tr("Exa&mine everything"), self)
        self._button.setObjectName("examine")
        self._button.setAccessibleName(self._button.text().replace("&", ""))
        self._button.setToolTip(self.tr("Run all checks of this computer and the current machine"))
        self._button.setAccessibleDescription(self._button.toolTip())
        icons.keep(self._button, "search")
        head = QHBoxLayout()
        head.addWidget(Heading(self.tr("Examination"), self, level=2), 1)
        head.addWidget(self._button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(Hint(self.tr("What keeps ports from appearing, and what to do."), self))
        layout.addWidget(self._activity)
        layout.addWidget(self._rows)
        self._button.clicked.connect(self.examine_all)
        self._activity.cancelled.connect(self._cancel)
        self._examination.told.connect(self._activity.tell)
        self._examination.told.connect(self.told)
        self._examination.found.connect(self._found)
        self._examination.failed.connect(self._failed)

    @property
    def is_running(self) -> bool:
        """An examination is under way."""
        return self._examination.is_running

    @property
    def findings(self) -> list[Finding]:
        """What is shown, from top to bottom."""
        return self._rows.findings

    def examine_all(self) -> None:
        """Run all checks."""
        self._start(self.tr("Examining…"), self._command("doctor", "--json"))

    def examine_machine(self, name: str) -> None:
        """Look at the way to this machine."""
        title = self.tr("Examining {}…").format(plain(cut(name, 100)))
        self._start(title, self._command("machine", "doctor", "--json", *_operand(name)))

    def _start(self, title: str, command: Sequence[str]) -> None:
        self._rows.show_findings([])
        self._activity.begin(title)
        self._button.setEnabled(False)
        self._examination.run(command)
        self.began.emit()

    def _cancel(self) -> None:
        self._examination.stop()
        self._ended(self.tr("The examination was given up."))

    def _found(self, findings: list[Finding]) -> None:
        self._rows.show_findings(in_order(findings))
        self._ended(summary(findings))

    def _failed(self, problem: Problem) -> None:
        self._button.setEnabled(True)
        self._activity.fail(self.tr("The examination failed"), problem)
        self.ended.emit()

    def _ended(self, title: str) -> None:
        self._button.setEnabled(True)
        self._activity.end(title)
        self.ended.emit()


def _operand(name: str) -> list[str]:
    """A name is never taken for an option; "--" is not known to all Pythons' argparse alike."""
    return [] if not name or name.startswith("-") else [name]
