"""The rows of a list of rules, for Qt's table view: changed as one types, marked where wrong.

Rules: whatever the person does is `edited`, at once; what the daemon tells resets the rows only if
it is something else. A row that was added and has no port yet counts for nothing.
Counterparts: `rules.py` takes rules apart; `table.py` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QIcon

from gui.network.rules import PORT_COLUMN, Row, RuleForm
from gui.parts import plain

__all__ = ["Column", "RuleModel"]

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, a hint for who types, and the labels of its words if they are few."""

    title: str
    hint: str
    labels: Mapping[str, str]


class RuleModel(QAbstractTableModel):
    """A list of rules. `edited` is emitted for every change by the person."""

    edited = Signal()

    def __init__(self, form: RuleForm, columns: Sequence[Column], parent: QObject) -> None:
        super().__init__(parent)
        self._form = form
        self._columns = tuple(columns)
        self._rows: list[Row] = []
        self._new: int | None = None
        self._wrong: tuple[int, str] | None = None
        self._icon = QIcon()

    # What it holds

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns."""
        return self._columns

    def value(self) -> object:
        """The setting's value that the rows stand for."""
        return self._form.value(self._counted())

    def twin(self) -> int | None:
        """A row that cannot be written down beside an earlier one."""
        return self._place(self._form.twin(self._counted()))

    def row_of(self, message: str) -> int | None:
        """The row that the daemon's words are about."""
        return self._place(self._form.row_of(message, self._counted()))

    def row(self, number: int) -> Row:
        """The words of a row."""
        return self._rows[number]

    def text(self, number: int) -> str:
        """A row as a line."""
        return self._form.text(self._rows[number])

    def is_new(self, number: int) -> bool:
        """It was added and its first port is still being typed."""
        return number == self._new

    # What the daemon says

    def show_value(self, value: object) -> None:
        """Show the rows of that value."""
        if value != self.value():
            self._reset(self._form.rows(value))

    def clear(self) -> None:
        """Show no rows, until a value is shown."""
        self._reset([])

    def show_wrong(self, row: int | None, message: str, icon: QIcon) -> None:
        """Mark a row as wrong, with the reason, or none."""
        before, self._wrong = self._wrong, None if row is None else (row, message)
        self._icon = icon
        for each in (before, self._wrong):
            if each is not None and each[0] < len(self._rows):
                self._tell_changed(each[0])

    # What the person does

    def add(self) -> int:
        """A new row, to be filled in; its number."""
        return self._insert(self._form.blank)

    def add_text(self, text: str) -> int:
        """A row of a line of text; its number."""
        row = self._insert(self._form.tidied(self._form.parse(text.strip())))
        self._new = None
        self.edited.emit()
        return row

    def remove(self, number: int) -> None:
        """Take a row out."""
        was_new = self.is_new(number) and not self._rows[number][PORT_COLUMN]
        self.beginRemoveRows(QModelIndex(), number, number)
        del self._rows[number]
        self._wrong = None
        if self._new is not None and self._new >= number:
            self._new = None if self._new == number else self._new - 1
        self.endRemoveRows()
        if not was_new:
            self.edited.emit()

    def put(self, number: int, row: Row) -> None:
        """Give a row other words."""
        if self._rows[number] != row:
            self._rows[number] = row
            self._tell_changed(number)
            self.edited.emit()

    def tidy(self, number: int) -> bool:
        """Typing is over in that row. False if it was a new one without a port, and is gone."""
        if self.is_new(number) and not self._rows[number][PORT_COLUMN].strip():
            self.remove(number)
            return False
        self._new = None
        self.put(number, self._form.tidied(self._rows[number]))
        return True

    # As Qt asks

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """See `QAbstractItemModel.rowCount`."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """See `QAbstractItemModel.columnCount`."""
        return 0 if parent.isValid() else len(self._columns)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """See `QAbstractItemModel.flags`."""
        more = Qt.ItemFlag.ItemIsEditable if index.isValid() else Qt.ItemFlag.NoItemFlags
        return super().flags(index) | more

    def headerData(  # noqa: N802 - Qt's
        self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole
    ) -> Any:
        """See `QAbstractItemModel.headerData`."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Role.DisplayRole:
            return self._columns[section].title
        return self._columns[section].hint if role == Role.ToolTipRole else None

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """See `QAbstractItemModel.data`."""
        if not index.isValid():
            return None
        column, word = self._columns[index.column()], self._rows[index.row()][index.column()]
        if role == Role.EditRole:
            return word
        if role == Role.DisplayRole:
            return column.labels.get(word) or plain(word)
        if role == Role.AccessibleTextRole:
            return f"{column.title}: {column.labels.get(word) or plain(word)}"
        return self._trouble(index, role)

    def _trouble(self, index: Index, role: int) -> Any:
        if self._wrong is None or self._wrong[0] != index.row():
            return None
        if role in (Role.ToolTipRole, Role.AccessibleDescriptionRole):
            return plain(self._wrong[1])
        is_place = role == Role.DecorationRole and index.column() == PORT_COLUMN
        return self._icon if is_place else None

    def setData(self, index: Index, value: Any, role: int = Role.EditRole) -> bool:  # noqa: N802
        """See `QAbstractItemModel.setData`."""
        if not index.isValid() or role != Role.EditRole:
            return False
        number = index.row()
        row = self._rows[number]
        changed = self._form.changed(row, index.column(), str(value), self.is_new(number))
        self.put(number, changed)
        return True

    # Within

    def _reset(self, rows: list[Row]) -> None:
        self.beginResetModel()
        self._rows = rows
        self._new = None
        self._wrong = None
        self.endResetModel()

    def _insert(self, row: Row) -> int:
        number = len(self._rows)
        self.beginInsertRows(QModelIndex(), number, number)
        self._rows.append(row)
        self._new = number
        self.endInsertRows()
        return number

    def _counts(self, number: int) -> bool:
        return not self.is_new(number) or bool(self._rows[number][PORT_COLUMN])

    def _counted(self) -> list[Row]:
        return [row for number, row in enumerate(self._rows) if self._counts(number)]

    def _place(self, counted: int | None) -> int | None:
        if counted is None:
            return None
        return [number for number in range(len(self._rows)) if self._counts(number)][counted]

    def _tell_changed(self, number: int) -> None:
        self.dataChanged.emit(self.index(number, 0), self.index(number, len(self._columns) - 1))
