"""How things stand, in an icon and a few words, below the list of pages. Whatever page is shown."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from gui.parts import Hint, IconLabel
from gui.session import Session
from gui.tray import look_of

__all__ = ["Glance"]


class Glance(QWidget):
    """The icon and the words of the tray, where there may be none."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("glance")
        self._session = session
        self._icon = IconLabel("tray-off", self)
        self._words = Hint("", self)
        self._words.setObjectName("glance-words")
        layout = QHBoxLayout(self)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._words, 1)
        session.linkChanged.connect(self._show)
        session.statusChanged.connect(self._show)
        self._show()

    def _show(self) -> None:
        icon, words = look_of(self._session.link, self._session.status)
        self._icon.show_icon(icon)
        self._words.setText(words)
        self.setAccessibleName(self._words.text())
