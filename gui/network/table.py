"""The view of a list of rules: everything by keyboard, in place, and as text by the clipboard.

    Insert adds a row, F2 or Enter edits a cell, Delete removes the selected rows;
    copy and paste take rules as lines of text, such as udp:5353 or machine:tcp:22

Rules: the model hears every letter as it is typed, so that it can be checked; Escape takes the row
back to what it was. Tab moves from cell to cell while one is edited, and out of the table else.
Counterpart: `model.py` holds the rows; `tablefield.py` has the buttons.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from gui.network.model import Column, RuleModel
from gui.network.rules import PORT_COLUMN, Row

__all__ = ["RuleTable"]

FEWEST_ROWS: Final = 2
MOST_ROWS: Final = 8
"""Rows that are seen at once; more are scrolled."""

Index = QModelIndex | QPersistentModelIndex
Hint = QAbstractItemDelegate.EndEditHint

_MOVES: Final = {Hint.EditNextItem: 1, Hint.EditPreviousItem: -1}


_TRIGGERS: Final = (
    QAbstractItemView.EditTrigger.DoubleClicked
    | QAbstractItemView.EditTrigger.EditKeyPressed
    | QAbstractItemView.EditTrigger.AnyKeyPressed
)


class RuleTable(QTableView):
    """Shows a `RuleModel`. `selected` when other rows are selected, or none."""

    selected = Signal()

    def __init__(self, model: RuleModel, empty: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._rules = model
        self._empty = empty
        self._edited: tuple[int, int, Row] | None = None
        self._is_read_only = False
        self.setItemDelegate(_RuleDelegate(self))
        self.setModel(model)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(_TRIGGERS)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        )
        self.selectionModel().selectionChanged.connect(self.selected)
        for changed in (model.modelReset, model.rowsInserted, model.rowsRemoved):
            changed.connect(self._fit)
        self._fit()

    @property
    def is_read_only(self) -> bool:
        """Rows can be read and copied, but not changed."""
        return self._is_read_only

    def set_read_only(self, is_read_only: bool) -> None:
        """Whether rows can only be read."""
        self._is_read_only = is_read_only
        none = QAbstractItemView.EditTrigger.NoEditTriggers
        self.setEditTriggers(none if is_read_only else _TRIGGERS)

    # What one can do

    def add(self) -> None:
        """A new row, with the cursor in its port."""
        self._end_editing()
        self._edit(self._rules.add(), PORT_COLUMN)

    def edit_current(self) -> None:
        """Put the cursor into the current row."""
        self._end_editing()
        current = self.currentIndex()
        if current.isValid():
            self._edit(current.row(), current.column())

    def remove_selected(self) -> None:
        """Take out the selected rows; the one that comes after them is current then."""
        rows = self.selected_rows()
        for row in reversed(rows):
            self._rules.remove(row)
        if rows and self._rules.rowCount():
            self.select(min(rows[0], self._rules.rowCount() - 1))

    def selected_rows(self) -> list[int]:
        """The selected rows, in order."""
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def select(self, row: int) -> None:
        """Make a row the current one, and the only one selected."""
        self._select(self._rules.index(row, PORT_COLUMN))

    def copy(self) -> None:
        """The selected rows, as lines of text."""
        QGuiApplication.clipboard().setText("\n".join(map(self._rules.text, self.selected_rows())))

    def paste(self) -> None:
        """Rows of lines of text, or of rules with commas between them."""
        lines = QGuiApplication.clipboard().text().replace(",", "\n").splitlines()
        for line in filter(str.strip, lines):
            self.select(self._rules.add_text(line))

    # As Qt asks

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's
        """See `QWidget.keyPressEvent`."""
        keys = {
            Qt.Key.Key_Insert: self.add,
            Qt.Key.Key_Return: self.edit_current,
            Qt.Key.Key_Enter: self.edit_current,
            Qt.Key.Key_Delete: self.remove_selected,
            Qt.Key.Key_Backspace: self.remove_selected,
        }
        action = keys.get(Qt.Key(event.key()))
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif self._is_read_only or self.state() == QAbstractItemView.State.EditingState:
            # While a cell is edited: a key that its editor had no use for.
            super().keyPressEvent(event)
        elif event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        elif action is not None:
            action()
        else:
            super().keyPressEvent(event)

    def begin(self, index: Index) -> Column:
        """An editor opens: for which column."""
        self._edited = index.row(), index.column(), self._rules.row(index.row())
        return self._rules.columns[index.column()]

    def closeEditor(self, editor: QWidget, hint: Hint) -> None:  # noqa: N802 - Qt's
        """See `QAbstractItemView.closeEditor`."""
        edited, self._edited = self._edited, None
        if edited is None:
            super().closeEditor(editor, hint)
            return
        row, column, before = edited
        if not 0 <= column + _MOVES.get(hint, 0) < len(self._rules.columns):
            hint = Hint.NoHint
        if hint == Hint.RevertModelCache:
            self._rules.put(row, before)
        super().closeEditor(editor, hint)
        if hint not in _MOVES and row < self._rules.rowCount() and not self._rules.tidy(row):
            self.setCurrentIndex(QModelIndex())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's
        """See `QWidget.paintEvent`: words where there is no row."""
        super().paintEvent(event)
        if self._rules.rowCount():
            return
        painter = QPainter(self.viewport())
        role = QPalette.ColorRole.PlaceholderText if self.isEnabled() else QPalette.ColorRole.Text
        painter.setPen(self.palette().color(role))
        margin = self.fontMetrics().averageCharWidth()
        area = self.viewport().rect().adjusted(margin, margin, -margin, -margin)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(area, flags, self._empty)
        painter.end()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's
        """See `QWidget.sizeHint`: as high as its rows, within limits."""
        return QSize(super().sizeHint().width(), self._height())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _end_editing(self) -> None:
        """Take the focus, which ends what is being edited, and an empty row with it."""
        self.setFocus()

    def _edit(self, row: int, column: int) -> None:
        index = self._rules.index(row, column)
        self._select(index)
        self.edit(index)

    def _select(self, index: QModelIndex) -> None:
        flags = QItemSelectionModel.SelectionFlag
        # The view's own way would heed Ctrl, which may just be pressed for something else.
        self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(index)

    def _fit(self) -> None:
        self.setMinimumHeight(self._height())
        self.setMaximumHeight(self._height())

    def _height(self) -> int:
        rows = min(max(self._rules.rowCount(), FEWEST_ROWS), MOST_ROWS)
        header = self.horizontalHeader().sizeHint().height()
        return header + rows * self.verticalHeader().defaultSectionSize() + 2 * self.frameWidth()


class _RuleDelegate(QStyledItemDelegate):
    """Editors that tell every change: a choice where the words are few, else a line."""

    def __init__(self, table: RuleTable) -> None:
        super().__init__(table)
        self._table = table

    def createEditor(  # noqa: N802 - Qt's
        self,
        parent: QWidget,
        option: QStyleOptionViewItem,  # noqa: ARG002
        index: Index,
    ) -> QWidget:
        """See `QStyledItemDelegate.createEditor`."""
        column = self._table.begin(index)
        word = str(index.data(Qt.ItemDataRole.EditRole))
        editor: QWidget
        if column.labels:
            editor = choice = QComboBox(parent)
            labels = dict(column.labels)
            labels.setdefault(word, word)
            for each, label in labels.items():
                choice.addItem(label, each)
            choice.activated.connect(lambda _: self.commitData.emit(choice))
        else:
            editor = line = QLineEdit(parent)
            line.setPlaceholderText(column.hint)
            line.setFrame(False)
            line.textEdited.connect(lambda _: self.commitData.emit(line))
        editor.setObjectName("cell")
        editor.setAccessibleName(column.title)
        editor.setAccessibleDescription(column.hint)
        editor.setAutoFillBackground(True)
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:  # noqa: N802 - Qt's
        """See `QStyledItemDelegate.setEditorData`: also after each letter, so only if other."""
        word = str(index.data(Qt.ItemDataRole.EditRole))
        if isinstance(editor, QComboBox):
            editor.setCurrentIndex(editor.findData(word))
        elif isinstance(editor, QLineEdit) and editor.text() != word:
            editor.setText(word)

    def setModelData(  # noqa: N802 - Qt's
        self, editor: QWidget, model: QAbstractItemModel, index: Index
    ) -> None:
        """See `QStyledItemDelegate.setModelData`."""
        if isinstance(editor, QComboBox):
            model.setData(index, editor.currentData())
        elif isinstance(editor, QLineEdit):
            model.setData(index, editor.text())
