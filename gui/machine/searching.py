"""Looks for machines: when somebody first looks, when they ask, and after they changed something.

Rules: it takes seconds and runs programs, so never by the clock; it can be given up. What it found
last stays until it has found something else. Counterpart: `choosing.py` shows the machines.
"""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import QLocale, QTime, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from desktop.api.types import MachineList
from gui import icons
from gui.machine.findings import Finding
from gui.machine.pending import Pending
from gui.machine.words import cut
from gui.parts import Hint
from gui.session import Link, Problem, Session

__all__ = ["Searching"]

BAR_LETTERS = 16


class Searching(QWidget):
    """See the module: a line that says when was searched, with a button.

    Attributes:
        found: what the last search has found; None while there was none.
        findings: what kept machines from being found, or why the search failed.
    """

    ended = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.found: MachineList | None = None
        self.findings: list[Finding] = []
        self._session = session
        self._call = Pending(self)
        self._words = Hint("", self)
        self._words.setObjectName("search-state")
        self._bar = self._make_bar()
        self._button = QPushButton(self)
        self._button.setObjectName("search")
        self._button.clicked.connect(self._pressed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._words, 1)
        row.addWidget(self._bar)
        row.addWidget(self._button)
        self._show(self.tr("Nobody has looked for machines yet."))
        session.linkChanged.connect(self._allow)

    @property
    def is_running(self) -> bool:
        """A search is under way."""
        return self._call.is_running

    def begin(self) -> None:
        """Look for machines, unless that is under way, or there is nobody to ask."""
        if self._call.is_running or self._session.link is not Link.READY:
            return
        call = self._session.call("machines", then=self._seen, fails=self._failed)
        self._call.began(call)
        self._show(self.tr("Looking for machines…"))

    def stop(self) -> None:
        """Give the search up."""
        if self._call.cancel():
            self._show(self.tr("The search was given up."))

    def _pressed(self) -> None:
        if self.is_running:
            self.stop()
        else:
            self.begin()

    def _seen(self, result: Any) -> None:
        try:
            found = msgspec.convert(result, MachineList)
        except msgspec.ValidationError as error:
            message = self.tr("the daemon says what is not understood: {}").format(error)
            self._failed(Problem(message, self.tr("samehost down, then samehost up"), "FAILED"))
            return
        self._call.over()
        self.found = found
        self.findings = [
            Finding("", "warning", cut(each.message), cut(each.remedy)) for each in found.findings
        ]
        at = QLocale().toString(QTime.currentTime(), QLocale.FormatType.ShortFormat)
        self._show(self.tr("%n machine(s) found, at {}.", "", len(found.machines)).format(at))
        self.ended.emit()

    def _failed(self, problem: Problem) -> None:
        self._call.over()
        self.findings = [Finding("", "failed", cut(problem.message), cut(problem.remedy))]
        self._show(self.tr("The search failed."))
        self.ended.emit()

    def _show(self, words: str) -> None:
        self._words.setText(words)
        self._bar.setVisible(self.is_running)
        button = self._button
        button.setText(self.tr("Stop &looking") if self.is_running else self.tr("&Look again"))
        button.setAccessibleName(button.text().replace("&", ""))
        button.setToolTip(
            self.tr("Give the search up")
            if self.is_running
            else self.tr("Ask all tools for their machines, which takes seconds")
        )
        button.setAccessibleDescription(button.toolTip())
        icons.keep(button, "stop" if self.is_running else "refresh")
        self._allow()

    def _allow(self) -> None:
        self._button.setEnabled(self._session.link is Link.READY)

    def _make_bar(self) -> QProgressBar:
        bar = QProgressBar(self)
        bar.setObjectName("search-progress")
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        bar.setAccessibleName(self.tr("Looking for machines"))
        bar.setAccessibleDescription(self.tr("How long it takes is not known"))
        bar.setFixedWidth(self.fontMetrics().averageCharWidth() * BAR_LETTERS)
        return bar
