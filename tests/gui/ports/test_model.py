"""The model of the port table, watched by Qt's own tester, against a dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QItemSelectionModel, QPersistentModelIndex, Qt
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy
from PySide6.QtWidgets import QApplication

from desktop.api.types import PortDelta, PortRow, row_key
from gui.deltas import RowKey
from gui.ports import model as module
from gui.ports.columns import Column, Entry, Words, sort_value
from gui.ports.filter import PROBLEMS, RowFilter
from gui.ports.model import PortModel
from gui.ports.rates import Rate
from tests.gui.ports.rows import NOW, delta, make_row, realistic, table

ASCENDING = Qt.SortOrder.AscendingOrder
DESCENDING = Qt.SortOrder.DescendingOrder


@pytest.fixture
def model() -> Iterator[PortModel]:
    model = PortModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    yield model
    tester.deleteLater()
    model.deleteLater()


def keys_of(model: PortModel) -> list[RowKey]:
    return [row_key(model.entry(place).row) for place in range(model.rowCount())]


def ports_of(model: PortModel) -> list[int]:
    return [model.entry(place).row.host_port for place in range(model.rowCount())]


def cell(model: PortModel, place: int, column: Column, role: int = 0) -> object:
    return model.data(model.index(place, column), role)


# Whatever happens, it is the table that was told.

POOL = realistic(48, ("sandbox", "sandbox", "lima-web"))
"""Few rows, so that they come and go and change often."""

some_rows = st.lists(st.sampled_from(POOL), max_size=48, unique_by=row_key)
filters = st.builds(
    RowFilter,
    st.sampled_from(["", "web", "tcp", ":8000-8100", "nginx active"]),
    st.sampled_from(["", "active", PROBLEMS]),
    st.sampled_from(["", "machine", "host"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("delta"), some_rows, st.data()),
        st.tuples(st.just("sync"), some_rows),
        st.tuples(st.just("filter"), filters),
        st.tuples(st.just("sort"), st.sampled_from(Column), st.booleans()),
        st.tuples(st.just("tick"), st.floats(0.1, 3.0)),
    ),
    max_size=12,
)


class Reference:
    """The same table as a dictionary, and what is shown of it as one expression."""

    def __init__(self) -> None:
        self.rows: dict[RowKey, PortRow] = {}
        self.filter = RowFilter()
        self.column = Column.HOST
        self.descending = False
        self.words = Words()

    def change(self, touched: list[PortRow], data: st.DataObject) -> PortDelta:
        """Rows that are not there come, those that are go or change."""
        added = [row for row in touched if row_key(row) not in self.rows]
        known = [row for row in touched if row_key(row) in self.rows]
        removed = [self.rows[row_key(row)] for row in known[::3]]
        changed = [self._changed(row, data) for row in known if row_key(row) not in table(*removed)]
        for row in removed:
            del self.rows[row_key(row)]
        self.rows.update(table(*added, *changed))
        return PortDelta(2, added, changed, removed)

    def _changed(self, row: PortRow, data: st.DataObject) -> PortRow:
        state = data.draw(st.sampled_from(["active", "conflict", "ignored"]))
        count = data.draw(st.integers(0, 5000))
        return msgspec.structs.replace(row, state=state, bytes_in=count, flows=count % 7)

    @property
    def has_several(self) -> bool:
        return len({row.machine for row in self.rows.values()}) > 1

    def shown(self, model: PortModel) -> list[RowKey]:
        entries = []
        for key, row in self.rows.items():
            known = model.find(key)
            assert known is not None
            entry = Entry(row, known.rate)
            if self.filter.matches(row, self.words.all_text(row, self.has_several)):
                entries.append(entry)
        entries.sort(key=lambda entry: sort_value(self.column, entry), reverse=self.descending)
        return [row_key(entry.row) for entry in entries]


@given(steps)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_happens_it_is_the_table_that_was_told(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, walk: list[tuple[Any, ...]]
) -> None:
    assert qapp is not None
    monkeypatch.setattr(module, "MOST_RUNS", 3)  # both ways of moving rows
    model, reference = PortModel(), Reference()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    resets = QSignalSpy(model.modelReset)
    held: dict[RowKey, QPersistentModelIndex] = {}
    now = 1.0
    for step in walk:
        now = perform(step, model, reference, now)
        assert keys_of(model) == reference.shown(model)
        assert {key: model.find(key).row for key in reference.rows} == reference.rows  # type: ignore[union-attr]
        assert model.total == len(reference.rows)
        assert model.states == Counter(row.state for row in reference.rows.values())
        for key, index in held.items():
            place = model.place(key)
            assert place is None or (index.isValid() and index.row() == place)
        held = {
            key: QPersistentModelIndex(model.index(place, 1))
            for place, key in enumerate(keys_of(model))
        }
        assert all(model.place(key) == index.row() for key, index in held.items())
    assert resets.count() == 0
    tester.deleteLater()
    model.deleteLater()


def perform(step: tuple[Any, ...], model: PortModel, reference: Reference, now: float) -> float:
    match step:
        case "delta", touched, data:
            model.apply(reference.change(touched, data), now)
        case "sync", rows:
            reference.rows = table(*rows)
            model.sync(reference.rows, now)
        case "filter", row_filter:
            reference.filter = row_filter
            model.set_filter(row_filter)
        case "sort", column, descending:
            reference.column, reference.descending = column, descending
            model.sort(column, DESCENDING if descending else ASCENDING)
        case "tick", seconds:
            now += seconds
            model.tick(now, NOW + now, range(10))
    return now + 0.7


# What views are told.


def test_many_rows_come_in_one_go_and_leave_in_one(model: PortModel) -> None:
    inserted, removed = QSignalSpy(model.rowsInserted), QSignalSpy(model.rowsRemoved)
    rows = tuple(realistic(1000))
    model.apply(delta(added=rows), 0.0)
    model.apply(delta(removed=rows), 1.0)
    assert (inserted.count(), removed.count()) == (1, 1)
    assert model.total == 0


def test_rows_side_by_side_are_told_to_have_changed_together(model: PortModel) -> None:
    rows = [make_row(port) for port in range(8000, 8010)]
    model.apply(delta(added=tuple(rows)), 0.0)
    told = QSignalSpy(model.dataChanged)
    touched = [msgspec.structs.replace(rows[place], flows=1) for place in (2, 3, 4, 8)]
    model.apply(delta(changed=tuple(touched)), 1.0)
    assert [(told.at(i)[0].row(), told.at(i)[1].row()) for i in range(told.count())] == [
        (2, 4),
        (8, 8),
    ]


def test_a_row_that_changed_nothing_is_not_told(model: PortModel) -> None:
    model.apply(delta(added=(make_row(1),)), 0.0)
    told = QSignalSpy(model.dataChanged)
    model.apply(delta(changed=(make_row(1),)), 1.0)
    model.sync(table(make_row(1)), 2.0)
    assert told.count() == 0


def test_order_is_left_alone_while_it_holds(model: PortModel) -> None:
    rows = [make_row(port, flows=port) for port in range(1, 6)]
    model.apply(delta(added=tuple(rows)), 0.0)
    model.sort(Column.FLOWS)
    laid_out = QSignalSpy(model.layoutChanged)
    model.apply(delta(changed=(make_row(5, flows=77),)), 1.0)
    assert laid_out.count() == 0
    model.apply(delta(changed=(make_row(1, flows=99),)), 2.0)
    assert laid_out.count() == 1
    assert ports_of(model) == [2, 3, 4, 5, 1]


def test_selection_stays_with_its_row_through_every_change(model: PortModel) -> None:
    rows = [make_row(port) for port in range(10, 20)]
    model.apply(delta(added=tuple(rows)), 0.0)
    selection = QItemSelectionModel(model)
    rows_too = QItemSelectionModel.SelectionFlag.ClearAndSelect
    selection.setCurrentIndex(model.index(4, 0), rows_too | QItemSelectionModel.SelectionFlag.Rows)
    model.apply(delta(added=(make_row(1), make_row(12, protocol="udp")), removed=(rows[0],)), 1.0)
    model.sort(Column.HOST, DESCENDING)
    model.sync(table(make_row(14), make_row(15), make_row(3)), 2.0)
    assert selection.currentIndex().row() == model.place(row_key(rows[4])) == 1
    assert [index.row() for index in selection.selectedRows()] == [1]
    selection.deleteLater()


def test_counts_are_told_only_when_they_are_others(model: PortModel) -> None:
    counted = QSignalSpy(model.counted)
    model.apply(delta(added=(make_row(1), make_row(2, machine="lima"))), 0.0)
    model.apply(delta(changed=(make_row(1, flows=3),)), 1.0)
    assert counted.count() == 1
    assert model.machines == {"sandbox": 1, "lima": 1}
    model.apply(delta(changed=(make_row(1, state="conflict"),)), 2.0)
    assert counted.count() == 2
    assert model.states == {"active": 1, "conflict": 1}


# What cells say.


def test_cells_say_it_in_words(model: PortModel) -> None:
    row = make_row(8000, host_address="::1", host_port=18000, state="conflict", since=NOW - 200)
    model.apply(delta(added=(row,)), 0.0)
    model.tick(1.0, NOW, range(0))
    assert [cell(model, 0, column) for column in Column] == [
        *("[::1]:18000", "TCP", "Conflict", "web", "nginx", "sandbox", "0", "", "", "3 min"),
        *("container → this computer", "0.0.0.0:8000"),
    ]


def test_an_open_port_that_turns_others_away_has_a_badge_and_is_spoken_of_in_full(
    model: PortModel,
) -> None:
    spoken, icon = Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.DecorationRole
    rows = (make_row(80, guarded=True, reason="others see it"), make_row(81))
    model.apply(delta(added=rows), 0.0)
    assert [cell(model, place, Column.STATE) for place in (0, 1)] == ["Guarded", "Active"]
    assert cell(model, 0, Column.STATE, spoken) == "Active, guarded"
    assert cell(model, 1, Column.STATE, spoken) == "Active"
    shield, tick = (cell(model, place, Column.STATE, icon) for place in (0, 1))
    assert isinstance(shield, QIcon)
    assert isinstance(tick, QIcon)
    assert shield.pixmap(16).toImage() != tick.pixmap(16).toImage()
    assert cell(model, 0, Column.STATE, Qt.ItemDataRole.ToolTipRole) == "<p>others see it</p>"
    model.set_filter(RowFilter(state="active"))
    assert model.rowCount() == 2
    model.set_filter(RowFilter(text="guarded"))
    assert model.rowCount() == 1


def test_rates_are_shown_while_something_moves_and_always_spoken(model: PortModel) -> None:
    spoken = Qt.ItemDataRole.AccessibleTextRole
    model.apply(delta(added=(make_row(1),)), 0.0)
    assert cell(model, 0, Column.INTO) == ""
    assert cell(model, 0, Column.INTO, spoken) == "0 bytes/s"
    model.apply(delta(changed=(make_row(1, bytes_in=2_500_000, bytes_out=3),)), 1.0)
    assert model.entry(0).rate == Rate(2_500_000.0, 3.0)
    assert cell(model, 0, Column.INTO) == "2.5 MB/s"
    told = QSignalSpy(model.dataChanged)
    model.tick(3.0, NOW, range(0))
    assert told.count() == 1
    assert cell(model, 0, Column.INTO) == ""


def test_only_ages_that_are_looked_at_and_read_otherwise_are_told(model: PortModel) -> None:
    rows = (make_row(1, since=NOW - 5), make_row(2, since=NOW - 500), make_row(3, since=NOW - 5))
    model.apply(delta(added=rows), 0.0)
    model.tick(1.0, NOW, range(0))
    told = QSignalSpy(model.dataChanged)
    model.tick(2.0, NOW + 1, range(2))
    assert told.count() == 1
    assert (told.at(0)[0].row(), told.at(0)[1].row()) == (0, 0)
    assert told.at(0)[0].column() == told.at(0)[1].column() == Column.AGE


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (200_000, "2 d")],
)
def test_an_age_is_as_rough_as_people_ask(seconds: float, words: str) -> None:
    assert Words().age(seconds) == words


def test_states_and_directions_have_an_icon_beside_their_word(model: PortModel) -> None:
    model.set_palette(QPalette())
    model.apply(delta(added=(make_row(1), make_row(2, origin="host", state="new one"))), 0.0)
    decoration = Qt.ItemDataRole.DecorationRole
    assert not cell(model, 0, Column.STATE, decoration).isNull()  # type: ignore[attr-defined]
    assert not cell(model, 1, Column.DIRECTION, decoration).isNull()  # type: ignore[attr-defined]
    assert cell(model, 1, Column.STATE, decoration) is None
    assert cell(model, 1, Column.STATE) == "new one"


def test_names_of_strangers_are_only_text(model: PortModel) -> None:
    name = "<b>x</b>\x1b[2J\u202egnp"
    row = make_row(1, process=name, reason="<img src=x>\n& more", state="conflict")
    model.apply(delta(added=(row,)), 0.0)
    shown = str(cell(model, 0, Column.PROCESS))
    assert shown.isprintable()
    assert shown.startswith("<b>x</b>")
    tip = str(cell(model, 0, Column.STATE, Qt.ItemDataRole.ToolTipRole))
    assert tip == "<p>&lt;img src=x&gt; &amp; more</p>"


@pytest.mark.parametrize("column", list(Column))
def test_every_column_sorts_both_ways(model: PortModel, column: Column) -> None:
    model.apply(delta(added=tuple(realistic(60, ("one", "two")))), 0.0)
    model.sort(column, ASCENDING)
    upwards = keys_of(model)
    model.sort(column, DESCENDING)
    assert keys_of(model) == upwards[::-1]


def test_ports_sort_as_numbers_and_names_without_regard_to_case(model: PortModel) -> None:
    rows = (
        make_row(10000, process="Zed"),
        make_row(80, process=None),
        make_row(9000, process="api"),
    )
    model.apply(delta(added=rows), 0.0)
    assert ports_of(model) == [80, 9000, 10000]
    model.sort(Column.PROCESS)
    assert ports_of(model) == [9000, 10000, 80]
