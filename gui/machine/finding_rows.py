"""Shows findings: each with an icon, its state in words, what was seen, and the remedy to copy.

Rules: all of it is text of whoever; nothing is a link. Counterpart: `findings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from gui.machine.findings import Finding, severity
from gui.parts import CopyButton, IconLabel, PlainLabel, plain

__all__ = ["FindingRow", "FindingRows", "finding_icon", "finding_word"]

translate = QCoreApplication.translate


def finding_word(state: str) -> str:
    """A state for people; one that is not known here as it came."""
    words = {
        "ok": translate("FindingRow", "All right"),
        "failed": translate("FindingRow", "Failed"),
        "error": translate("FindingRow", "Error"),
        "warning": translate("FindingRow", "Warning"),
        "note": translate("FindingRow", "Note"),
        "not reached": translate("FindingRow", "Not reached"),
        "skipped": translate("FindingRow", "Left out"),
    }
    return words.get(state, state)


def finding_icon(finding: Finding) -> str:
    """The name of the icon beside that word."""
    if finding.state == "ok":
        return "active"
    return {0: "conflict", 1: "warning", 2: "info"}.get(severity(finding), "ignored")


class FindingRow(QFrame):
    """One finding."""

    def __init__(self, finding: Finding, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.finding = finding
        self.setObjectName("finding")
        self.setAccessibleName(
            plain(f"{finding_word(finding.state)}: {finding.name} {finding.evidence}".strip())
        )
        self.setAccessibleDescription(plain(finding.remedy))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(IconLabel(finding_icon(finding), self), 0, 0, Qt.AlignmentFlag.AlignTop)
        title = PlainLabel(self._title(), self, selectable=True)
        title.setObjectName("finding-title")
        grid.addWidget(title, 0, 1)
        if finding.evidence and finding.name:
            evidence = PlainLabel(finding.evidence, self, selectable=True)
            evidence.setObjectName("finding-evidence")
            grid.addWidget(evidence, 1, 1)
        if finding.remedy:
            self._add_remedy(grid)

    def _title(self) -> str:
        word = finding_word(self.finding.state)
        if self.finding.name:
            return f"{self.finding.name}: {word}"
        return f"{word}: {self.finding.evidence}" if self.finding.evidence else word

    def _add_remedy(self, grid: QGridLayout) -> None:
        remedy = PlainLabel(self.finding.remedy, self, selectable=True)
        remedy.setObjectName("finding-remedy")
        font = remedy.font()
        font.setItalic(True)
        remedy.setFont(font)
        text = plain(self.finding.remedy, keep_lines=True)
        copy = CopyButton(text, self, label=self.tr("Copy"))
        copy.setObjectName("copy-remedy")
        copy.setAccessibleName(self.tr("Copy the remedy"))
        copy.setAccessibleDescription(plain(self.finding.remedy))
        grid.addWidget(remedy, 2, 1)
        grid.addWidget(copy, 0, 2, 3, 1, Qt.AlignmentFlag.AlignVCenter)


class FindingRows(QWidget):
    """Several, one below the other; hidden as long as there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: list[Finding] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.hide()

    @property
    def findings(self) -> list[Finding]:
        """What is shown, from top to bottom."""
        return list(self._shown)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show these in the place of those there are."""
        if list(findings) == self._shown:
            return
        self._shown = list(findings)
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for finding in self._shown:
            self._layout.addWidget(FindingRow(finding, self))
        self.setVisible(bool(self._shown))
