"""What is said below a setting: who locked it, that somebody else changed it, what is wrong.

Rules: each note is an icon and words, hidden while there is nothing to say. Notes are stops on the
way with Tab, since a control that is disabled is none: who cannot see must hear why it is.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionFocusRect,
    QVBoxLayout,
    QWidget,
)

from gui.parts import IconLabel, PlainLabel, plain

__all__ = ["Note", "Notes"]


class _Words(PlainLabel):
    """Words that take the focus, and show that they have it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("", parent, selectable=True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's
        """See `QWidget.paintEvent`."""
        super().paintEvent(event)
        if not self.hasFocus():
            return
        option = QStyleOptionFocusRect()
        option.initFrom(self)
        painter = QPainter(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_FrameFocusRect, option, painter, self)
        painter.end()


class Note(QWidget):
    """One note. `acted` when its button is pressed, which is there if there is something to do."""

    acted = Signal()

    def __init__(self, name: str, icon: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._words = _Words(self)
        self._words.setObjectName(f"{name}-text")
        self._button = QPushButton(self)
        self._button.setObjectName(f"{name}-action")
        self._button.clicked.connect(self.acted)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(IconLabel(icon, self), 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._words, 1)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        """What it says, "" while it is hidden."""
        return self._words.text() if not self.isHidden() else ""

    def tell(self, text: str, action: str = "") -> None:
        """Say something; "" for nothing."""
        self._words.setText(text)
        self._words.setAccessibleName(plain(text))
        self._button.setText(action)
        self._button.setVisible(bool(action))
        self._button.setAccessibleDescription(plain(text))
        self.setVisible(bool(text))

    def take_focus(self) -> None:
        """Put the focus on the words."""
        self._words.setFocus(Qt.FocusReason.OtherFocusReason)


class Notes(QWidget):
    """The three notes of a setting."""

    def __init__(self, key: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.lock = Note(f"{key}-lock", "lock", self)
        self.elsewhere = Note(f"{key}-elsewhere", "info", self)
        self.error = Note(f"{key}-error", "warning", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for note in (self.lock, self.elsewhere, self.error):
            layout.addWidget(note)

    def texts(self) -> list[str]:
        """What is said."""
        return [note.text for note in (self.lock, self.elsewhere, self.error) if note.text]
