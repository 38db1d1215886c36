"""The view of the port table: columns that can be hidden, moved and sorted, by keyboard as well.

Rules: rows have one height, so 5000 cost no more than those that are seen. What a person made of
the columns is kept as bytes by whoever owns this (`columns_changed`). The machine's column is there
only while it tells rows apart, whatever was chosen. Counterpart: `model.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QStyle, QTableView, QWidget

from desktop.api.types import PortRow, row_key
from gui.deltas import RowKey
from gui.ports.columns import ICONS, Column, Words
from gui.ports.model import PortModel

__all__ = ["PortTable"]

SAMPLES: Final = {
    Column.HOST: "127.0.0.1:50000",
    Column.PROTOCOL: "TCP",
    Column.CONTAINER: "shop-frontend-1",
    Column.PROCESS: "redis-server",
    Column.MACHINE: "lima-default",
    Column.FLOWS: "1000",
    Column.INTO: "999.9 MB/s",
    Column.OUT: "999.9 MB/s",
    Column.AGE: "59 min",
    Column.GUEST: "127.0.0.1:50000",
}
"""Texts that fit into a column at first, where they are not words of ours."""

ROW_LINES: Final = 1.55
"""Height of a row, in lines of text."""


class PortTable(QTableView):
    """See the module.

    Signals:
        picked: which rows are selected, or which is the current one, is another.
        columns_changed: what `columns_state` gives is another.
    """

    picked = Signal()
    columns_changed = Signal()

    def __init__(self, model: PortModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = model
        self._hidden: set[Column] = set()
        self._is_restoring = False
        self.setObjectName("ports-table")
        self.setAccessibleName(self.tr("Ports"))
        self.setAccessibleDescription(self.tr("All ports that are the same on both sides, live"))
        self.setModel(model)
        self._look()
        self._prepare_header()
        selection = self.selectionModel()
        selection.selectionChanged.connect(self.picked)
        selection.currentRowChanged.connect(self.picked)
        model.counted.connect(self._show_columns)
        self._show_columns()

    # What is selected and seen

    def picked_rows(self) -> list[PortRow]:
        """The selected rows, the current one first."""
        current = self.currentIndex().row()
        selected = sorted(index.row() for index in self.selectionModel().selectedRows())
        places = sorted(selected, key=lambda place: (place != current, place))
        return [self._rows.entry(place).row for place in places]

    def picked_keys(self) -> list[RowKey]:
        """The keys of the selected rows, the current one first."""
        return list(map(row_key, self.picked_rows()))

    def pick(self, keys: list[RowKey]) -> None:
        """Select those of these rows that are in the table; the first becomes the current one."""
        places = [place for key in keys if (place := self._rows.place(key)) is not None]
        if not places:
            return
        selection = self.selectionModel()
        flags = selection.SelectionFlag
        for number, place in enumerate(places):
            index = self._rows.index(place, 0)
            if number == 0:
                selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            else:
                selection.select(index, flags.Select | flags.Rows)

    def seen(self) -> range:
        """The rows that are on the screen."""
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        if first < 0:
            return range(0)
        return range(first, (last if last >= 0 else self._rows.rowCount() - 1) + 1)

    # Columns

    def columns_state(self) -> bytes:
        """Order, widths, sorting and what is hidden, to be kept."""
        hidden = ",".join(str(int(column)) for column in sorted(self._hidden))
        return hidden.encode() + b";" + self.horizontalHeader().saveState().data()

    def restore_columns(self, state: bytes) -> None:
        """Make them as they were; what cannot be read changes nothing."""
        words, _, header = state.partition(b";")
        self._is_restoring = True
        if self.horizontalHeader().restoreState(header):
            known = {str(int(column)).encode(): column for column in Column}
            self._hidden = {known[word] for word in words.split(b",") if word in known}
        self._is_restoring = False
        self._show_columns()

    def fill_column_menu(self, menu: QMenu) -> None:
        """Which columns there are, and by which the table is sorted: what the header does."""
        for before in menu.findChildren(QMenu):
            before.deleteLater()
        menu.clear()
        self._offer_sorting(menu.addMenu(self.tr("&Sort by")))
        menu.addSeparator()
        for column in Column:
            action = menu.addAction(self._words.titles[column])
            action.setCheckable(True)
            action.setChecked(column not in self._hidden)
            action.setEnabled(column is not Column.HOST)
            action.toggled.connect(self._shower(column))
        menu.addSeparator()
        menu.addAction(self.tr("&Usual columns")).triggered.connect(self.reset_columns)

    def reset_columns(self) -> None:
        """All columns as they were at first."""
        header = self.horizontalHeader()
        self._hidden.clear()
        for column in Column:
            header.moveSection(header.visualIndex(column), column)
        self._show_columns()
        self.sortByColumn(Column.HOST, Qt.SortOrder.AscendingOrder)
        self._set_widths()
        self.columns_changed.emit()

    def show_column(self, column: Column, shown: bool) -> None:
        """Show or hide a column."""
        self._hidden.discard(column)
        if not shown:
            self._hidden.add(column)
        self._show_columns()
        self.columns_changed.emit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._set_height()

    @property
    def _words(self) -> Words:
        return self._rows.cells.words

    def _look(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._set_height()

    def _set_height(self) -> None:
        height = round(self.fontMetrics().lineSpacing() * ROW_LINES)
        self.verticalHeader().setMinimumSectionSize(height)
        self.verticalHeader().setDefaultSectionSize(height)

    def _prepare_header(self) -> None:
        header = self.horizontalHeader()
        header.setObjectName("ports-header")
        header.setSectionsMovable(True)
        header.setHighlightSections(False)
        header.setSortIndicatorClearable(False)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_column_menu)
        self.sortByColumn(Column.HOST, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self._set_widths()
        header.sortIndicatorChanged.connect(self._fit_title)
        for signal in (header.sectionMoved, header.sectionResized, header.sortIndicatorChanged):
            signal.connect(self._tell_columns)

    def _set_widths(self) -> None:
        """Wide enough for what is usual, and for the title."""
        advance, style = self.fontMetrics().horizontalAdvance, self.style()
        header, words = self.horizontalHeader(), self._words
        margin = 3 * (style.pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin) + 1)
        icon = style.pixelMetric(QStyle.PixelMetric.PM_SmallIconSize) + margin
        own = {Column.STATE: words.states, Column.DIRECTION: words.directions}
        for column in Column:
            texts = [*own.get(column, {}).values(), SAMPLES.get(column, "")]
            width = max(map(advance, texts)) + margin + (icon if column in ICONS else 0)
            self.setColumnWidth(column, max(width, header.sectionSizeHint(column)))

    def _fit_title(self, column: int) -> None:
        """The mark of sorting takes room beside the title."""
        needed = self.horizontalHeader().sectionSizeHint(column)
        if self.columnWidth(column) < needed and not self.isColumnHidden(column):
            self.setColumnWidth(column, needed)

    def _tell_columns(self) -> None:
        if not self._is_restoring:
            self.columns_changed.emit()

    def _show_columns(self) -> None:
        self._is_restoring = True
        for column in Column:
            is_useless = column is Column.MACHINE and not self._rows.has_several_machines
            hidden = column in self._hidden or is_useless
            if self.isColumnHidden(column) != hidden:
                self.setColumnHidden(column, hidden)
        self._is_restoring = False

    def _shower(self, column: Column) -> Callable[[bool], None]:
        return lambda shown: self.show_column(column, shown)

    def _sorter(self, column: int, order: Qt.SortOrder) -> Callable[[], None]:
        return lambda: self.sortByColumn(column, order)

    def _offer_sorting(self, menu: QMenu) -> None:
        header = self.horizontalHeader()
        now, order = header.sortIndicatorSection(), header.sortIndicatorOrder()
        by = QActionGroup(menu)
        for column in Column:
            if not self.isColumnHidden(column):
                action = _choice(menu, by, self._words.titles[column], column == now)
                action.triggered.connect(self._sorter(column, order))
        menu.addSeparator()
        ways = QActionGroup(menu)
        for way, text in (
            (Qt.SortOrder.AscendingOrder, self.tr("&Ascending")),
            (Qt.SortOrder.DescendingOrder, self.tr("&Descending")),
        ):
            _choice(menu, ways, text, way is order).triggered.connect(self._sorter(now, way))

    def _open_column_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_column_menu(menu)
        menu.popup(self.horizontalHeader().mapToGlobal(place))


def _choice(menu: QMenu, group: QActionGroup, text: str, chosen: bool) -> QAction:
    action = menu.addAction(text)
    action.setCheckable(True)
    action.setChecked(chosen)
    group.addAction(action)
    return action
