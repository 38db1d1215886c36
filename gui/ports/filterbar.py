"""Above the table: what to look for, in which state and direction, and which columns there are.

Rules: keeps a `RowFilter`; `changed` when it is another. Escape in the field empties it before it
closes anything. Counts beside the choices are told by the page. Counterpart: `filter.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from gui import icons
from gui.ports.columns import Words
from gui.ports.filter import EVERYTHING, PROBLEMS, STATE_CHOICES, RowFilter
from gui.ports.flow import FlowLayout

__all__ = ["FilterBar"]

ROOM: Final = 4
"""Letters beside the longest word in the field: its frame and the button that empties it."""


class FilterBar(QWidget):
    """See the module. `columns` is the button for the menu of columns."""

    changed = Signal()

    def __init__(self, words: Words, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.filter = EVERYTHING
        self._words = words
        self.text = QLineEdit(self)
        self.states = QComboBox(self)
        self.directions = QComboBox(self)
        self.columns = QToolButton(self)
        self._prepare_text()
        self._prepare_choices()
        self._prepare_columns()
        self._arrange()

    def show_counts(self, states: Mapping[str, int], origins: Mapping[str, int]) -> None:
        """Say how many rows each choice has."""
        for place, choice in enumerate(STATE_CHOICES):
            _rename(self.states, place, self._state_text(choice, states[choice]))
        total = states[""]
        for place in range(self.directions.count()):
            origin = self.directions.itemData(place)
            count = origins.get(origin, 0) if origin else total
            _rename(self.directions, place, self._direction_text(origin, count))

    def clear(self) -> None:
        """Let everything through."""
        self.text.clear()
        self.states.setCurrentIndex(0)
        self.directions.setCurrentIndex(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Escape empties the field; from an empty one it goes on to whoever else wants it."""
        kind = event.type()
        is_key = kind in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)
        if watched is not self.text or not is_key or not isinstance(event, QKeyEvent):
            return False
        if event.key() != Qt.Key.Key_Escape or not self.text.text():
            return False
        event.accept()
        if kind == QEvent.Type.KeyPress:
            self.text.clear()
        return True

    def _arrange(self) -> None:
        field = QWidget(self)
        field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        label = QLabel(self.tr("&Find:"), field)
        label.setBuddy(self.text)
        inner = QHBoxLayout(field)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(label)
        inner.addWidget(self.text, 1)
        layout = FlowLayout(self)
        for widget in (field, self.states, self.directions, self.columns):
            layout.addWidget(widget)

    def _prepare_text(self) -> None:
        self.text.setObjectName("find")
        self.text.setPlaceholderText(self.tr("name, tcp:8000, :8000"))
        self.text.setClearButtonEnabled(True)
        advance = self.fontMetrics().horizontalAdvance
        self.text.setMinimumWidth(advance(self.text.placeholderText()) + advance("m" * ROOM))
        self.text.setAccessibleName(self.tr("Find ports"))
        self.text.setToolTip(
            self.tr("Words that a row must have, or ports such as :8000 or udp:5000-5100")
        )
        self.text.setAccessibleDescription(self.text.toolTip())
        self.text.textChanged.connect(self._change)
        self.text.installEventFilter(self)

    def _prepare_choices(self) -> None:
        self.states.setObjectName("state-filter")
        self.states.setAccessibleName(self.tr("State"))
        self.states.setToolTip(self.tr("Show only ports in this state"))
        for choice in STATE_CHOICES:
            self.states.addItem(self._state_text(choice, 0), choice)
        self.directions.setObjectName("direction-filter")
        self.directions.setAccessibleName(self.tr("Direction"))
        self.directions.setToolTip(self.tr("Show only ports of this direction"))
        for origin in ("", "machine", "host"):
            self.directions.addItem(self._direction_text(origin, 0), origin)
        for box in (self.states, self.directions):
            box.setAccessibleDescription(box.toolTip())
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            box.currentIndexChanged.connect(self._change)

    def _prepare_columns(self) -> None:
        self.columns.setObjectName("columns")
        self.columns.setText(self.tr("Colum&ns"))
        self.columns.setToolTip(self.tr("Choose columns, and sort by one"))
        self.columns.setAccessibleName(self.tr("Columns"))
        self.columns.setAccessibleDescription(self.columns.toolTip())
        self.columns.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.columns.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.columns.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        icons.keep(self.columns, "general")

    def _change(self) -> None:
        wanted = RowFilter(
            self.text.text(), self.states.currentData(), self.directions.currentData()
        )
        if wanted != self.filter:
            self.filter = wanted
            self.changed.emit()

    def _state_text(self, choice: str, count: int) -> str:
        special = {"": self.tr("All states"), PROBLEMS: self.tr("Problems")}
        name = special.get(choice) or self._words.state(choice)
        return self.tr("{name} ({count})").format(name=name, count=count)

    def _direction_text(self, origin: str, count: int) -> str:
        name = self._words.direction(origin) if origin else self.tr("Both directions")
        return self.tr("{name} ({count})").format(name=name, count=count)


def _rename(box: QComboBox, place: int, text: str) -> None:
    if box.itemText(place) != text:
        box.setItemText(place, text)
