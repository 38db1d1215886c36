"""Something long that is under way: what it is, its progress as it is told, a way to end it.

    activity.begin("Attaching lima")      it is shown, with a bar and Cancel
    activity.tell("starting the engine")  a line of progress
    activity.end("Using lima.")           or .fail(title, problem), with the remedy

Rules: knows nothing of what is done. `cancelled` when the person wants it ended; whoever does it
ends it and says so here. Lines are a stranger's words, and only the last are kept.
"""

from __future__ import annotations

from typing import Final, cast

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui.machine.finding_rows import FindingRows
from gui.machine.findings import Finding
from gui.machine.words import cut
from gui.parts import PlainLabel, announce, plain
from gui.session import Problem

__all__ = ["Activity", "has_focus"]

MOST_LINES: Final = 200
SHOWN_LINES: Final = 4
LONGEST_LINE: Final = 300


def has_focus(widget: QWidget) -> bool:
    """The keyboard is somewhere in it."""
    focused = cast("QWidget | None", widget.window().focusWidget())
    return focused is not None and widget.isAncestorOf(focused)


class Activity(QFrame):
    """See the module. Hidden as long as there is nothing to say."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("activity")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self._title = PlainLabel("", self)
        self._title.setObjectName("activity-title")
        self._bar = self._make_bar()
        self._lines = self._make_lines()
        self._cancel = QPushButton(self.tr("Cancel"), self)
        self._cancel.setObjectName("cancel")
        self._cancel.setAccessibleName(self.tr("Cancel"))
        self._cancel.clicked.connect(self.cancelled)
        self._outcome = FindingRows(self)
        self._running = QWidget(self)
        grid = QGridLayout(self._running)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self._bar, 0, 0)
        grid.addWidget(self._cancel, 0, 1)
        layout = QVBoxLayout(self)
        for widget in (self._title, self._running, self._lines, self._outcome):
            layout.addWidget(widget)
        self.hide()

    @property
    def is_running(self) -> bool:
        """It has begun and not ended."""
        return not self._running.isHidden() and not self.isHidden()

    @property
    def title(self) -> str:
        """What it says, "" while it is hidden."""
        return "" if self.isHidden() else self._title.text()

    @property
    def lines(self) -> list[str]:
        """The last lines of progress."""
        return self._lines.toPlainText().splitlines()

    @property
    def outcome(self) -> list[Finding]:
        """Why it failed."""
        return self._outcome.findings

    def begin(self, title: str) -> None:
        """It begins."""
        self._say(title)
        self._lines.clear()
        self._lines.hide()
        self._outcome.show_findings([])
        self._running.show()
        self._bar.setAccessibleName(plain(title))
        self._cancel.setEnabled(True)
        self._cancel.setAccessibleDescription(self.tr("End this: {}").format(plain(title)))
        self._cancel.setToolTip(self._cancel.accessibleDescription())
        self.show()

    def tell(self, line: str) -> None:
        """What goes on now."""
        self._lines.appendPlainText(plain(cut(line, LONGEST_LINE)))
        self._lines.show()

    def end(self, title: str) -> None:
        """It is done."""
        self._say(title)
        self._lines.hide()
        self._running.hide()

    def fail(self, title: str, problem: Problem) -> None:
        """It failed. What was told before stays to be seen."""
        self._say(title)
        self._running.hide()
        message, remedy = cut(problem.message), cut(problem.remedy)
        self._outcome.show_findings([Finding("", "failed", message, remedy)])
        announce(self, plain(f"{message} {remedy}".strip()))

    def take_focus(self) -> None:
        """Give the keyboard to Cancel: what was pressed is disabled now."""
        self._cancel.setFocus()

    def _say(self, title: str) -> None:
        self._title.setText(title)
        self.setAccessibleName(self._title.text())
        self.show()
        announce(self, self._title.text())

    def _make_bar(self) -> QProgressBar:
        bar = QProgressBar(self)
        bar.setObjectName("progress")
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        bar.setAccessibleDescription(self.tr("How long it takes is not known"))
        return bar

    def _make_lines(self) -> QPlainTextEdit:
        lines = QPlainTextEdit(self)
        lines.setObjectName("progress-lines")
        lines.setReadOnly(True)
        lines.setUndoRedoEnabled(False)
        lines.setMaximumBlockCount(MOST_LINES)
        lines.setTabChangesFocus(True)
        lines.setAccessibleName(self.tr("Progress"))
        lines.setAccessibleDescription(self.tr("What the daemon says of it, newest last"))
        margins = 2 * (lines.frameWidth() + round(lines.document().documentMargin()))
        lines.setFixedHeight(lines.fontMetrics().lineSpacing() * SHOWN_LINES + margins)
        lines.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        lines.hide()
        return lines
