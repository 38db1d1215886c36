"""The table of machines: its model, and a selection that outlives changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from gui.machine.entries import Entry
from gui.machine.table import MachineTable

A = Entry("a", "lima", "connected", is_current=True, is_attached=True, reached="ssh lima-a")
B = Entry("b", "podman", "stopped")
C = Entry("c", "docker", "running", note="it does\nit itself")


@pytest.fixture
def table(qtbot: QtBot) -> Iterator[MachineTable]:
    table = MachineTable()
    qtbot.addWidget(table)
    tester = QAbstractItemModelTester(
        table.model(), QAbstractItemModelTester.FailureReportingMode.Fatal
    )
    table.show_entries([A, B, C])
    yield table
    tester.deleteLater()


def texts(table: MachineTable, row: int) -> list[str]:
    model = table.model()
    return [model.index(row, column).data() for column in range(model.columnCount())]


def test_each_machine_has_a_row_with_state_and_use_in_words(table: MachineTable) -> None:
    assert texts(table, 0) == ["a", "Connected", "Current one", "Lima", "ssh lima-a"]
    assert texts(table, 1) == ["b", "Stopped", "", "Podman", ""]
    assert texts(table, 2) == ["c", "Running", "Never", "Docker", ""]
    state = table.model().index(0, 1)
    assert not state.data(Qt.ItemDataRole.DecorationRole).isNull()


def test_why_one_is_never_attached_is_in_its_tool_tip(table: MachineTable) -> None:
    assert table.model().index(2, 0).data(Qt.ItemDataRole.ToolTipRole) == "it does it itself"
    assert table.model().index(0, 4).data(Qt.ItemDataRole.ToolTipRole) == "ssh lima-a"


def test_the_first_is_selected_until_another_one_is(table: MachineTable) -> None:
    assert table.entry == A
    table.select("c")
    assert table.entry == C
    table.select("nobody")
    assert table.entry == C


def test_a_machine_that_is_not_there_yet_is_selected_when_it_comes(table: MachineTable) -> None:
    table.select("new")
    assert table.entry == A
    table.show_entries([A, B])
    assert table.entry == A
    new = Entry("new", "lima", "running")
    table.show_entries([A, B, new])
    assert table.entry == new
    table.select("a")
    table.show_entries([A, B])
    table.show_entries([A, B, new])
    assert table.entry == A


def test_the_selection_is_a_machine_whatever_comes_before_it(table: MachineTable) -> None:
    table.select("b")
    table.show_entries([B, Entry("new", "lima", "stopped"), A])
    assert table.entry == B
    table.show_entries([A, C])
    assert table.entry == A
    table.show_entries([A, B, C])
    assert table.entry == A


def test_a_machine_that_does_something_else_is_no_other_row(
    qtbot: QtBot, table: MachineTable
) -> None:
    table.select("b")
    started = Entry("b", "podman", "starting")
    with (
        qtbot.assertNotEmitted(table.model().modelReset),
        qtbot.waitSignal(table.model().dataChanged),
        qtbot.waitSignal(table.chosen),
    ):
        table.show_entries([A, started, C])
    assert (table.entry, texts(table, 1)[1]) == (started, "Starting")


def test_a_list_that_became_empty_has_nothing_selected(table: MachineTable) -> None:
    table.show_entries([])
    assert table.entry is None
    table.select("a")
    assert table.entry is None


def test_a_strangers_name_is_on_one_line_and_bounded(table: MachineTable) -> None:
    table.show_entries([Entry("x\x1b[31m\n" * 2000, "k\x00ind", "run\u202e")])
    name, state, _, kind, _ = texts(table, 0)
    assert len(name) == 200
    assert (name + state + kind).isprintable()


def test_icons_follow_the_palette(qtbot: QtBot, table: MachineTable) -> None:
    def ink() -> int:
        icon = table.model().index(0, 1).data(Qt.ItemDataRole.DecorationRole)
        image = icon.pixmap(32, 32).toImage()
        pixels = [
            image.pixelColor(x, y)
            for x in range(image.width())
            for y in range(image.height())
            if image.pixelColor(x, y).alpha() == 255
        ]
        return int(pixels[0].lightness())

    dark = table.palette()
    dark.setColor(QPalette.ColorRole.Text, Qt.GlobalColor.white)
    before = ink()
    with qtbot.waitSignal(table.model().dataChanged):
        table.setPalette(dark)
    assert before < 128 < ink()


def test_where_there_is_little_room_names_lose_their_middle_and_nothing_else(
    table: MachineTable,
) -> None:
    table.show_entries([Entry("ssh:ada@build.example.org:2222", "ssh", "unknown", reached="ssh")])
    header = table.horizontalHeader()
    table.resize(2000, 300)
    table.show()
    wide = header.sectionSize(0)
    assert header.length() == table.viewport().width()
    table.resize(header.sectionPosition(4) + 20, 300)
    assert header.length() <= table.viewport().width()
    assert header.sectionSize(0) < wide
    assert header.sectionSize(4) >= header.sectionSizeHint(4)


def test_rows_grow_with_the_font(table: MachineTable) -> None:
    before = table.verticalHeader().defaultSectionSize()
    large = table.font()
    large.setPointSizeF(large.pointSizeF() * 3)
    table.setFont(large)
    assert table.verticalHeader().defaultSectionSize() > 2 * before
