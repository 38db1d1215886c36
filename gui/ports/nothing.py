"""What stands in the table's place when the filter lets nothing through, and the way out of it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from gui.parts import Heading, PlainLabel

__all__ = ["NothingFound"]


class NothingFound(QWidget):
    """Says so. `cleared` when the person wants to see all again."""

    cleared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("nothing-found")
        self._title = Heading(self.tr("No port matches"), self, level=2)
        self._text = PlainLabel("", self)
        self._text.setObjectName("nothing-found-text")
        self._button = QPushButton(self.tr("Clear the fi&lter"), self)
        self._button.setObjectName("clear-filter")
        self._button.setAccessibleDescription(self.tr("Shows all ports again"))
        self._button.clicked.connect(self.cleared)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        for widget in (self._title, self._text):
            widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(widget)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)

    def show_total(self, total: int) -> None:
        """How many there are that do not match."""
        self._text.setText(self.tr("%n port(s) do not match what you look for.", "", total))
