"""The machines that there are, as a table.

Rules: the selection is a machine's name and outlives whatever happens to the list around it.
Counterpart: `entries.py` says what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from gui import icons
from gui.machine.entries import Entry
from gui.machine.words import cut, kind_word, state_icon, state_word
from gui.parts import plain

__all__ = ["MachineModel", "MachineTable"]

NAME, STATE, USE, KIND, REACHED = range(5)

_NOWHERE: Final = QModelIndex()
_Index = QModelIndex | QPersistentModelIndex

LONGEST_CELL: Final = 200
WIDEST_COLUMN: Final = 32
"""Letters; longer words lose their middle, and the tool tip has them."""
NARROWEST_NAME: Final = 14
SHOWN_ROWS: Final = 8
"""Height that the table asks for, in rows."""


class MachineModel(QAbstractTableModel):
    """A row for each machine."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._widget = parent
        self._entries: list[Entry] = []

    @property
    def entries(self) -> list[Entry]:
        """The machines, from top to bottom."""
        return self._entries

    def show_entries(self, entries: Sequence[Entry]) -> bool:
        """Show these. True if the rows are others than before, so that a selection is lost."""
        is_same = [each.name for each in entries] == [each.name for each in self._entries]
        if not is_same:
            self.beginResetModel()
            self._entries = list(entries)
            self.endResetModel()
            return True
        before, self._entries = self._entries, list(entries)
        for row, (old, new) in enumerate(zip(before, entries, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(row, 0), self.index(row, REACHED))
        return False

    def rowCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """See `QAbstractItemModel`."""
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: _Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """See `QAbstractItemModel`."""
        return 0 if parent.isValid() else REACHED + 1

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """See `QAbstractItemModel`."""
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        return {
            NAME: self.tr("Name"),
            STATE: self.tr("State"),
            USE: self.tr("In use"),
            KIND: self.tr("Kind"),
            REACHED: self.tr("Reached by"),
        }.get(section)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """See `QAbstractItemModel`."""
        if not index.isValid():
            return None
        entry, column = self._entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(entry, column)
        if role == Qt.ItemDataRole.DecorationRole and column == STATE:
            palette = self._widget.palette()
            return icons.icon(state_icon(entry.state), palette, QPalette.ColorRole.Text)
        if role == Qt.ItemDataRole.ToolTipRole:
            return cut(plain(entry.note)) or self._text(entry, column) or None
        if role == Qt.ItemDataRole.AccessibleDescriptionRole and column == NAME:
            return cut(plain(entry.note)) or None
        return None

    def redraw(self) -> None:
        """The palette is another one."""
        if self._entries:
            last = self.index(len(self._entries) - 1, REACHED)
            self.dataChanged.emit(self.index(0, 0), last)

    def _text(self, entry: Entry, column: int) -> str:
        texts = {
            NAME: entry.name,
            STATE: state_word(entry.state),
            USE: self._use(entry),
            KIND: kind_word(entry.kind),
            REACHED: entry.reached,
        }
        return plain(cut(texts[column], LONGEST_CELL))

    def _use(self, entry: Entry) -> str:
        if entry.is_current:
            return self.tr("Current one")
        if entry.is_attached:
            return self.tr("Beside it")
        return self.tr("Never") if entry.note else ""


class MachineTable(QTableView):
    """See the module. `chosen` when another machine is selected, or is not what it was."""

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("machines-table")
        self.setAccessibleName(self.tr("Machines"))
        self.setAccessibleDescription(self.tr("The machines of this computer, one a row"))
        self._awaited = ""
        self._rows = MachineModel(self)
        self.setModel(self._rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.verticalHeader().hide()
        self._arrange()
        self.selectionModel().currentRowChanged.connect(self.chosen)

    @property
    def entries(self) -> list[Entry]:
        """The machines, from top to bottom."""
        return self._rows.entries

    @property
    def entry(self) -> Entry | None:
        """The one that is selected."""
        row = self.currentIndex().row()
        return self.entries[row] if 0 <= row < len(self.entries) else None

    def show_entries(self, entries: Sequence[Entry]) -> None:
        """Show these; what is selected stays, if it is there."""
        before, awaited = self.entry, self._awaited
        is_another = self._rows.show_entries(entries)
        if is_another or before != self.entry:
            self._fit()
        if is_another:
            names = [each.name for each in entries]
            wanted = [awaited, before.name if before else "", *names]
            self._awaited = "" if awaited in names else awaited
            self._choose(next((name for name in wanted if name in names), ""))
        elif before != self.entry:
            self.chosen.emit()

    def select(self, name: str) -> None:
        """Select the machine of that name: now, or as soon as it is there."""
        self._awaited = ""
        if not self._choose(name):
            self._awaited = name

    def _choose(self, name: str) -> bool:
        rows = [row for row, entry in enumerate(self.entries) if entry.name == name]
        for row in rows:
            self.setCurrentIndex(self._rows.index(row, NAME))
        return bool(rows)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.resizeEvent`."""
        self._fit()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._rows.redraw()
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._arrange()

    def _fit(self) -> None:
        """Columns as wide as what is in them, with some air; the last one takes what is left.

        If that is too little for its title, names lose their middle.
        """
        header, letter = self.horizontalHeader(), self.fontMetrics().averageCharWidth()
        for column in (NAME, STATE, USE, KIND):
            width = max(self.sizeHintForColumn(column), header.sectionSizeHint(column))
            header.resizeSection(column, min(width, letter * WIDEST_COLUMN) + letter * 2)
        least = header.sectionSizeHint(REACHED)
        left = self.viewport().width() - header.sectionPosition(REACHED)
        if left < least:
            name = header.sectionSize(NAME) - (least - left)
            header.resizeSection(NAME, max(name, letter * NARROWEST_NAME))
        header.resizeSection(REACHED, max(left, least))

    def _arrange(self) -> None:
        line = round(self.fontMetrics().height() * 1.6)
        self.verticalHeader().setDefaultSectionSize(line)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        frame = 2 * self.frameWidth()
        self.setMinimumHeight(header.sizeHint().height() + line * SHOWN_ROWS + frame)
