"""The port table as Qt's views see it: filtered, sorted, changed by what changed and never reset.

One model instead of a source and QSortFilterProxyModel: that one would ask Python for two values
per comparison, a quarter of a second for 5000 rows. Here rows have their sort key ready, places
are found by halving, and views are told of runs of rows.
Rules: no session, no timer, no clock: `now` (of the rates) and `wall` (of the ages) are given.
Selection and current row stay through every change, since indexes are moved along.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from PySide6.QtCore import QPersistentModelIndex as QPersistentIndex
from PySide6.QtGui import QPalette

from desktop.api.types import PortDelta, PortRow, row_key
from gui.deltas import RowKey
from gui.ports.cells import LEFT, RIGHT, Cells
from gui.ports.columns import NUMBERS, Column, Entry, sort_value
from gui.ports.filter import EVERYTHING, RowFilter
from gui.ports.order import Order, gather, runs
from gui.ports.rates import Rates

__all__ = ["PortModel"]

Index = QModelIndex | QPersistentIndex

MOST_RUNS: Final = 32
"""Runs of rows that views are told of one by one; more are first laid side by side."""

_COLUMNS: Final = tuple(Column)
_NOWHERE: Final = QModelIndex()


class PortModel(QAbstractTableModel):
    """All rows that were told, of which those that the filter lets through are in the table."""

    counted = Signal()
    """How many rows there are of a state, direction or machine is another number than before."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cells = Cells()
        self.states: Counter[str] = Counter()
        self.origins: Counter[str] = Counter()
        self.machines: Counter[str] = Counter()
        self._entries: dict[RowKey, Entry] = {}
        self._shown: list[Entry] = []
        self._rates: Rates[RowKey] = Rates()
        self._filter = EVERYTHING
        self._order = Order()
        self._column = Column.HOST

    # What it is told

    def apply(self, delta: PortDelta, now: float) -> None:
        """Take a change of the table into account."""
        rows = {row_key(row): row for row in (*delta.added, *delta.changed)}
        gone = {row_key(row) for row in delta.removed}
        self._take(gone - rows.keys(), rows, now)

    def sync(self, rows: Mapping[RowKey, PortRow], now: float) -> None:
        """Become this table, by what differs. Nobody looked before: rates begin anew."""
        self._rates.clear()
        self._take(self._entries.keys() - rows.keys(), rows, now)

    def tick(self, now: float, wall: float, looked_at: range) -> None:
        """A second went by. Only the ages of rows that are looked at are told to have changed."""
        settled = self._rates.settle(now)
        touched = [(self._entries[key], self._entries[key].row) for key in settled]
        self._change(touched)
        before, self.cells.wall = self.cells.wall, wall
        places = [
            place
            for place in looked_at[: len(self._shown)]
            if self._age(place, before) != self._age(place, wall)
        ]
        for first, last in runs(places):
            self._tell(first, last, Column.AGE, Column.AGE)

    def set_filter(self, row_filter: RowFilter) -> None:
        """Show what this one lets through."""
        self._filter = row_filter
        leaving = {place for place, entry in enumerate(self._shown) if not self._matches(entry)}
        arriving = [
            entry for entry in self._entries.values() if not entry.is_shown and self._matches(entry)
        ]
        self._remove(leaving)
        self._insert(arriving)

    def set_palette(self, palette: QPalette) -> None:
        """Draw icons in its colours from now on."""
        self.cells.set_palette(palette)
        if self._shown:
            self._tell(0, len(self._shown) - 1)

    # What there is to know

    @property
    def total(self) -> int:
        """Rows, shown or not."""
        return len(self._entries)

    @property
    def has_several_machines(self) -> bool:
        """True if it matters which machine a row is of."""
        return len(self.machines) > 1

    def entry(self, place: int) -> Entry:
        """The entry in a row of the table."""
        return self._shown[place]

    def find(self, key: RowKey) -> Entry | None:
        """The entry of a key, shown or not."""
        return self._entries.get(key)

    def place(self, key: RowKey) -> int | None:
        """In which row of the table it is; None if in none."""
        entry = self._entries.get(key)
        if entry is None or not entry.is_shown:
            return None
        return self._order.place(self._shown, entry)

    # What views ask

    def rowCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """See `QAbstractItemModel.rowCount`."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """See `QAbstractItemModel.columnCount`."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """See `QAbstractItemModel.data`."""
        answer = self.cells.answers.get(role)
        if answer is None or not index.isValid():
            return None
        return answer(_COLUMNS[index.column()], self._shown[index.row()])

    def headerData(  # noqa: N802 - Qt's name
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """See `QAbstractItemModel.headerData`."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(_COLUMNS):
            return None
        column = _COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.cells.words.titles[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.cells.words.hints.get(column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if column in NUMBERS else LEFT
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """See `QAbstractItemModel.sort`."""
        if not 0 <= column < len(_COLUMNS):
            return
        self._column = _COLUMNS[column]
        self._order = Order(order is Qt.SortOrder.DescendingOrder)
        for entry in self._entries.values():
            entry.key = sort_value(self._column, entry)
        self._sort()

    def _age(self, place: int, wall: float) -> str:
        return self.cells.words.age(wall - self._shown[place].row.since)

    # How it changes

    def _take(self, gone: Iterable[RowKey], rows: Mapping[RowKey, PortRow], now: float) -> None:
        before = (dict(self.states), dict(self.origins), dict(self.machines))
        had_several = self.has_several_machines
        self._forget(gone)
        arriving: list[Entry] = []
        touched: list[tuple[Entry, PortRow]] = []
        for key, row in rows.items():
            rate = self._rates.observe(key, row.bytes_in, row.bytes_out, now)
            entry = self._entries.get(key)
            if entry is None:
                arriving.append(self._new(key, row))
            elif entry.row != row or entry.rate != rate:
                touched.append((entry, row))
        self._change(touched)
        self._insert([entry for entry in arriving if self._matches(entry)])
        if self.has_several_machines != had_several:
            self._forget_texts()
        if before != (self.states, self.origins, self.machines):
            self.counted.emit()

    def _forget_texts(self) -> None:
        """Rows show more, or less, than before."""
        for entry in self._entries.values():
            entry.text = ""
        if self._filter.needs_text:
            self.set_filter(self._filter)

    def _forget(self, gone: Iterable[RowKey]) -> None:
        """Rows are no more."""
        leaving = set()
        for key in gone:
            entry = self._entries.get(key)
            if entry is None:
                continue
            if entry.is_shown:
                leaving.add(self._order.place(self._shown, entry))
            del self._entries[key]
            self._rates.forget(key)
            self._count(entry.row, -1)
        self._remove(leaving)

    def _new(self, key: RowKey, row: PortRow) -> Entry:
        entry = Entry(row)
        entry.key = sort_value(self._column, entry)
        self._entries[key] = entry
        self._count(row, 1)
        return entry

    def _change(self, touched: Sequence[tuple[Entry, PortRow]]) -> None:
        """Entries have another row or rate. Places are found before any key changes."""
        places = [
            self._order.place(self._shown, entry) if entry.is_shown else -1 for entry, _ in touched
        ]
        leaving, arriving, staying = set(), [], []
        for (entry, row), place in zip(touched, places, strict=True):
            self._renew(entry, row)
            matches = self._matches(entry)
            if not entry.is_shown:
                arriving += [entry] if matches else []
            elif matches:
                staying.append((entry, place))
            else:
                leaving.add(place)
        self._settle(staying, leaving)
        self._insert(arriving)

    def _renew(self, entry: Entry, row: PortRow) -> None:
        if entry.row is not row:
            self._count(entry.row, -1)
            self._count(row, 1)
            entry.row, entry.text = row, ""
        entry.rate = self._rates.rate(row_key(row))
        entry.key = sort_value(self._column, entry)

    def _settle(self, staying: Sequence[tuple[Entry, int]], leaving: set[int]) -> None:
        """Entries in the table changed, so that they may be in the wrong place, or in none."""
        self._remove(leaving)
        gone = sorted(leaving)
        places = [place - bisect_left(gone, place) for _, place in staying]
        if not self._order.holds(self._shown, places):
            self._sort()
            places = [self._order.place(self._shown, entry) for entry, _ in staying]
        for first, last in runs(places):
            self._tell(first, last)

    def _remove(self, places: set[int]) -> None:
        """Take rows out of the table; those of many runs are laid at its end first."""
        found = runs(places)
        if len(found) > MOST_RUNS:
            self._arrange(gather(self._shown, places))
            found = [(len(self._shown) - len(places), len(self._shown) - 1)]
        for first, last in reversed(found):
            self.beginRemoveRows(_NOWHERE, first, last)
            for entry in self._shown[first : last + 1]:
                entry.is_shown = False
            del self._shown[first : last + 1]
            self.endRemoveRows()

    def _insert(self, entries: Sequence[Entry]) -> None:
        """Put entries into the table; those of many runs are put at its end first."""
        groups = self._order.insertions(self._shown, entries)
        is_scattered = len(groups) > MOST_RUNS
        if is_scattered:
            groups = [(len(self._shown), list(entries))]
        for place, group in groups:
            self.beginInsertRows(_NOWHERE, place, place + len(group) - 1)
            for entry in group:
                entry.is_shown = True
            self._shown[place:place] = group
            self.endInsertRows()
        if is_scattered:
            self._sort()

    def _sort(self) -> None:
        arranged = list(self._shown)
        self._order.sort(arranged)
        self._arrange(arranged)

    def _arrange(self, arranged: list[Entry]) -> None:
        """The same entries in another order; what views hold on to moves along."""
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        entries = [self._shown[index.row()] for index in held]
        places = {id(entry): place for place, entry in enumerate(arranged)} if held else {}
        self._shown = arranged
        moved = [
            self.index(places[id(entry)], index.column())
            for entry, index in zip(entries, held, strict=True)
        ]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _matches(self, entry: Entry) -> bool:
        if self._filter.needs_text and not entry.text:
            entry.text = self.cells.words.all_text(entry.row, self.has_several_machines)
        return self._filter.matches(entry.row, entry.text)

    def _count(self, row: PortRow, by: int) -> None:
        for counter, word in (
            (self.states, row.state),
            (self.origins, row.origin),
            (self.machines, row.machine),
        ):
            counter[word] += by
            if not counter[word]:
                del counter[word]

    def _tell(self, first: int, last: int, left: int = 0, right: int = len(_COLUMNS) - 1) -> None:
        self.dataChanged.emit(self.index(first, left), self.index(last, right))
