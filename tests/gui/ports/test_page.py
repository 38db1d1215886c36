"""The page Ports with a real control API: what it shows, keeps and does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest
from PySide6.QtCore import QObject, QPoint, Qt, QUrl, Slot
from PySide6.QtGui import QAction, QDesktopServices, QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QMenu, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.types import ContainerRef, PortRow
from gui.parts import BreakingLabel
from gui.ports.columns import Column
from gui.ports.page import PortsPage
from gui.session import Link, Session
from tests.gui.ports.rows import make_row, realistic
from tests.promptness import promptly
from tests.served_backend import ServedBackend

SOON: Final = 0.3
"""Seconds from a change to the screen (the issue's figure)."""


@pytest.fixture
def page(qtbot: QtBot, session: Session) -> Iterator[PortsPage]:
    page = PortsPage(session)
    qtbot.addWidget(page)
    page.resize(1000, 640)
    page.show()
    qtbot.waitExposed(page)
    yield page
    page.hide()


def change(
    served: ServedBackend, added: list[PortRow], removed: list[PortRow] | None = None
) -> None:
    served.do(lambda: served.backend.change(added, removed))


def show_only(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, rows: list[PortRow]
) -> list[PortRow]:
    """Let the table be these rows."""
    change(served, rows, served.do(lambda: list(served.backend._rows.values())))
    wanted = sorted(row.host_port for row in rows)
    qtbot.waitUntil(lambda: sorted(shown(page)) == wanted)
    return rows


def shown(page: PortsPage) -> list[int]:
    model = page.model
    return [model.entry(place).row.host_port for place in range(model.rowCount())]


def pick(page: PortsPage, port: int) -> None:
    page.table.selectRow(shown(page).index(port))


def find(page: PortsPage, kind: type[QWidget], name: str) -> QWidget:
    found = page.findChild(kind, name)
    assert isinstance(found, kind)
    return found


def button(page: PortsPage, name: str) -> QPushButton:
    found = find(page, QPushButton, name)
    assert isinstance(found, QPushButton)
    return found


# What it shows.


def test_it_shows_the_table_of_the_daemon(page: PortsPage, session: Session) -> None:
    assert page.model.total == len(session.rows) > 10
    assert shown(page) == sorted(row.host_port for row in session.rows.values())


def test_a_change_is_on_the_screen_soon(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    ports = itertools.count(8123)

    def shown_after() -> float:
        port = next(ports)
        painted = QSignalSpy(page.model.rowsInserted)
        began = time.monotonic()
        change(served, [make_row(port)])
        qtbot.waitUntil(lambda: painted.count() > 0)
        page.table.repaint()
        took = time.monotonic() - began
        assert port in shown(page)
        return took

    promptly(shown_after, SOON)


def test_details_tell_why_whose_and_where(page: PortsPage) -> None:
    pick(page, 80)
    assert page.details.title == "Denied: TCP 0.0.0.0:80, container → this computer"
    assert "ip_unprivileged_port_start=80" in page.details.reason
    fields = {name: page.details.field(name) for name in ("container", "image", "labels", "guest")}
    assert fields == {
        "container": "shop-web-1",
        "image": "nginx:1.29",
        "labels": "com.docker.compose.project=shop",
        "guest": "0.0.0.0:80",
    }


def test_nothing_of_the_details_is_cut_off_however_long_its_words_are(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    long = ContainerRef("a1" * 32, "team_" * 12, "docker")
    image, labels = "registry.example.com/team/app@sha256:" + "a1" * 32, {"x.y" * 30: "z" * 90}
    served.do(lambda: served.backend.details.update({long.id: (image, labels)}))
    reason = f"{long.name} on the machine has tcp port 8000"
    show_only(qtbot, served, page, [make_row(8000, container=long, reason=reason)])
    pick(page, 8000)
    qtbot.waitUntil(lambda: page.details.field("image") == image)
    content = page.details.widget()
    assert content is not None
    qtbot.waitUntil(lambda: content.width() == page.details.viewport().width())
    assert content.minimumSizeHint().width() <= content.width()
    for label in page.details.findChildren(BreakingLabel):
        assert label.minimumSizeHint().width() <= label.width()
    assert page.details.field("labels") == "\n".join("=".join(each) for each in labels.items())


def test_details_follow_their_row(qtbot: QtBot, served: ServedBackend, page: PortsPage) -> None:
    rows = show_only(qtbot, served, page, [make_row(8000), make_row(9000)])
    pick(page, 8000)
    change(served, [msgspec.structs.replace(rows[0], state="conflict", reason="x has it")])
    qtbot.waitUntil(lambda: page.details.reason == "x has it")
    assert page.details.title.startswith("Conflict")
    change(served, [], [rows[0]])
    qtbot.waitUntil(lambda: page.details.title == "No port is selected")


def test_traffic_of_the_selected_row_is_drawn_and_told(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    rows = show_only(qtbot, served, page, [make_row(8000)])
    pick(page, 8000)
    change(served, [msgspec.structs.replace(rows[0], bytes_in=4_000_000, bytes_out=0)])
    line = page.details.sparkline
    qtbot.waitUntil(lambda: "4.0 MB/s" in line.accessibleDescription())
    assert line.newest.into == 4_000_000
    qtbot.waitUntil(lambda: len(line.history.samples) > 1)
    drawn = line.grab().toImage()
    line.clear()
    assert drawn != line.grab().toImage()


def test_the_machine_is_a_column_only_while_it_tells_rows_apart(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    show_only(qtbot, served, page, [make_row(1)])
    assert page.table.isColumnHidden(Column.MACHINE)
    change(served, [make_row(2, machine="lima")])
    qtbot.waitUntil(lambda: not page.table.isColumnHidden(Column.MACHINE))


def test_with_no_port_at_all_it_says_what_to_do(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    assert not page.tells_state("no-ports")
    show_only(qtbot, served, page, [])
    qtbot.waitUntil(lambda: page.tells_state("no-ports"))
    change(served, [make_row(1)])
    qtbot.waitUntil(lambda: not page.tells_state("no-ports"))


# Filter and columns.


def test_what_is_typed_filters_and_escape_empties_it(page: PortsPage) -> None:
    page.focus_filter()
    field = find(page, QLineEdit, "find")
    QTest.keyClicks(field, "tcp:8000")
    assert shown(page) == [8000]
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert len(shown(page)) == page.model.total
    assert field.hasFocus()


def test_a_filter_without_a_match_offers_the_way_out(page: PortsPage) -> None:
    page.bar.text.setText("no such thing")
    assert page.nothing.isVisible()
    assert not page.table.isVisible()
    text = find(page, QLabel, "nothing-found-text")
    assert isinstance(text, QLabel)
    assert text.text().startswith(str(page.model.total))
    QTest.mouseClick(button(page, "clear-filter"), Qt.MouseButton.LeftButton)
    assert page.table.isVisible()
    assert len(shown(page)) == page.model.total


def test_choices_have_counts_that_stay_true(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    rows = show_only(qtbot, served, page, [make_row(1), make_row(2, state="denied")])
    states = page.bar.states
    assert [states.itemText(place) for place in range(3)] == [
        *("All states (2)", "Active (1)", "Problems (1)")
    ]
    assert page.bar.directions.itemText(1) == "container → this computer (2)"
    change(served, [msgspec.structs.replace(rows[0], state="conflict")])
    qtbot.waitUntil(lambda: states.itemText(2) == "Problems (2)")


def test_states_and_directions_are_chosen_and_stay_chosen(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    show_only(qtbot, served, page, [make_row(1), make_row(2, origin="host")])
    box = find(page, QComboBox, "direction-filter")
    assert isinstance(box, QComboBox)
    box.setCurrentIndex(2)
    assert shown(page) == [2]
    change(served, [make_row(3), make_row(4, origin="host")])
    qtbot.waitUntil(lambda: shown(page) == [2, 4])


def test_columns_are_hidden_by_the_menu_and_remembered(
    qtbot: QtBot, page: PortsPage, session: Session
) -> None:
    told = QSignalSpy(page.columnsChanged)
    menu = page.bar.columns.menu()
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.text() == "Program").trigger()
    page.table.setColumnWidth(Column.HOST, 333)
    page.table.sortByColumn(Column.FLOWS, Qt.SortOrder.DescendingOrder)
    qtbot.waitUntil(lambda: told.count() > 0)
    assert told.count() == 1
    other = PortsPage(session)
    qtbot.addWidget(other)
    other.restore_columns(page.columns_state())
    other.restore_columns(b"nonsense")
    assert other.table.isColumnHidden(Column.PROCESS)
    assert other.table.columnWidth(Column.HOST) == 333
    assert other.table.horizontalHeader().sortIndicatorSection() == Column.FLOWS
    other.table.reset_columns()
    assert not other.table.isColumnHidden(Column.PROCESS)


def sort_menu(page: PortsPage) -> dict[str, QAction]:
    """The menu, opened anew: it is filled as things are then."""
    menu = page.bar.columns.menu()
    menu.aboutToShow.emit()
    sorting = menu.actions()[0].menu()
    assert isinstance(sorting, QMenu)
    return {action.text(): action for action in sorting.actions()}


def flows_shown(page: PortsPage) -> list[int]:
    return [page.model.entry(place).row.flows for place in range(page.model.rowCount())]


def test_the_menu_sorts_by_the_column_and_in_the_order_that_it_names(page: PortsPage) -> None:
    sort_menu(page)["Flows"].trigger()
    sort_menu(page)["&Descending"].trigger()
    header = page.table.horizontalHeader()
    assert header.sortIndicatorSection() == Column.FLOWS
    assert header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
    assert flows_shown(page) == sorted(flows_shown(page), reverse=True)
    sort_menu(page)["&Ascending"].trigger()
    assert flows_shown(page) == sorted(flows_shown(page))


def test_a_click_on_a_title_sorts_by_it(page: PortsPage) -> None:
    header = page.table.horizontalHeader()
    orders = []
    for _ in range(2):
        QTest.mouseClick(
            header.viewport(),
            Qt.MouseButton.LeftButton,
            pos=QPoint(header.sectionViewportPosition(Column.FLOWS) + 9, 5),
        )
        assert header.sortIndicatorSection() == Column.FLOWS
        is_down = header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
        assert flows_shown(page) == sorted(flows_shown(page), reverse=is_down)
        orders.append(is_down)
    assert sorted(orders) == [False, True]


def test_usual_columns_are_remembered_too(qtbot: QtBot, page: PortsPage) -> None:
    told = QSignalSpy(page.columnsChanged)
    page.table.show_column(Column.PROCESS, False)
    qtbot.waitUntil(lambda: told.count() == 1)
    page.table.reset_columns()
    qtbot.waitUntil(lambda: told.count() == 2)
    assert not page.table.isColumnHidden(Column.PROCESS)


def test_traffic_of_before_the_page_was_hidden_is_not_that_of_the_last_minute(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    rows = show_only(qtbot, served, page, [make_row(8000)])
    pick(page, 8000)
    change(served, [msgspec.structs.replace(rows[0], bytes_in=9_000_000)])
    line = page.details.sparkline
    qtbot.waitUntil(lambda: "9.0 MB/s" in line.accessibleDescription())
    page.hide()
    page.show()
    assert "9.0 MB/s" not in line.accessibleDescription()


def test_the_title_of_the_column_that_is_sorted_by_is_seen_whole(page: PortsPage) -> None:
    header = page.table.horizontalHeader()
    page.table.setColumnWidth(Column.PROTOCOL, 20)
    page.table.sortByColumn(Column.PROTOCOL, Qt.SortOrder.AscendingOrder)
    assert header.sectionSize(Column.PROTOCOL) >= header.sectionSizeHint(Column.PROTOCOL)


def test_columns_that_were_just_changed_are_told_before_the_page_rests(page: PortsPage) -> None:
    told = QSignalSpy(page.columnsChanged)
    page.table.setColumnWidth(Column.HOST, 333)
    assert told.count() == 0
    page.hide()
    assert told.count() == 1


# What stays.


def test_selection_and_scroll_position_stay_while_rows_come_and_go(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    rows = show_only(qtbot, served, page, realistic(400))
    port = shown(page)[200]
    pick(page, port)
    page.table.scrollTo(page.table.currentIndex())
    before = page.table.verticalScrollBar().value()
    assert before > 0
    change(served, [make_row(60_000), make_row(60_001)], rows[395:])
    qtbot.waitUntil(lambda: 60_001 in shown(page))
    assert page.table.picked_rows()[0].host_port == port
    assert page.table.verticalScrollBar().value() == before


def test_what_a_filter_took_out_of_sight_is_selected_again_with_it(page: PortsPage) -> None:
    pick(page, 8443)
    page.bar.text.setText(":8000")
    assert page.details.title == "No port is selected"
    page.bar.text.setText("")
    assert [row.host_port for row in page.table.picked_rows()] == [8443]
    page.bar.text.setText(":8000")
    pick(page, 8000)
    page.bar.text.setText("")
    assert [row.host_port for row in page.table.picked_rows()] == [8000]


def test_selection_and_filter_stay_over_a_lost_connection(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, session: Session
) -> None:
    show_only(qtbot, served, page, realistic(400))
    page.bar.states.setCurrentIndex(1)
    port = shown(page)[150]
    pick(page, port)
    page.table.scrollTo(page.table.currentIndex())
    before = page.table.verticalScrollBar().value()
    with qtbot.waitSignal(session.portsReset):
        session.close()
        session._feed.clear()
    assert shown(page) == []
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY and bool(shown(page)))
    assert [row.host_port for row in page.table.picked_rows()] == [port]
    assert page.table.verticalScrollBar().value() == before
    assert page.bar.filter.state == "active"


def test_a_hidden_page_does_nothing_and_is_true_when_it_is_seen_again(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, session: Session
) -> None:
    show_only(qtbot, served, page, [make_row(1), make_row(2)])
    pick(page, 2)
    page.hide()
    told = [
        QSignalSpy(signal)
        for signal in (page.model.rowsInserted, page.model.dataChanged, page.model.layoutChanged)
    ]
    with qtbot.waitSignal(session.portsChanged):
        change(served, [make_row(3), make_row(1, flows=9)])
    assert not page._timer.isActive()
    assert [spy.count() for spy in told] == [0, 0, 0]
    page.show()
    assert shown(page) == [1, 2, 3]
    assert [row.host_port for row in page.table.picked_rows()] == [2]
    assert page._timer.isActive()


# What can be done.


def test_addresses_of_the_selected_rows_are_copied_by_key(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    show_only(qtbot, served, page, [make_row(1), make_row(2, host_address="::1"), make_row(3)])
    page.activateWindow()
    page.table.setFocus()
    page.table.selectAll()
    qtbot.waitUntil(page.table.hasFocus)
    QTest.keyClick(page.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "localhost:1\n[::1]:2\nlocalhost:3"


class Browser(QObject):
    """Takes the addresses that would be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(url.toString())


def test_an_active_tcp_port_is_opened_in_the_browser(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    rows = [make_row(8000, host_address="::1"), make_row(53, protocol="udp")]
    show_only(qtbot, served, page, rows)
    browser = Browser()
    QDesktopServices.setUrlHandler("http", browser, "open")  # type: ignore[arg-type]
    pick(page, 8000)
    QTest.mouseClick(button(page, "browse"), Qt.MouseButton.LeftButton)
    QDesktopServices.unsetUrlHandler("http")
    assert browser.opened == ["http://[::1]:8000/"]
    pick(page, 53)
    assert not button(page, "browse").isEnabled()
    assert "TCP" in button(page, "browse").accessibleDescription()


def test_without_a_browser_the_address_is_told(
    page: PortsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _: False)
    pick(page, 8000)
    page.port_actions.browse.trigger()
    assert page.banner.message == "No browser could be opened."
    assert page.banner.accessibleDescription().endswith("http://localhost:8000/")


def test_what_is_told_can_be_put_away(page: PortsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _: False)
    pick(page, 8000)
    page.port_actions.browse.trigger()
    close = find(page, QToolButton, "banner-close")
    assert close.isVisible()
    QTest.keyClick(close, Qt.Key.Key_Space)
    assert not page.banner.isVisible()
    assert page.table.hasFocus()


def test_tips_of_strangers_words_are_only_text(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, session: Session
) -> None:
    served.backend.locked["ignore"] = "<b>locked</b>"
    with qtbot.waitSignal(session.settingsChanged):
        session.refresh()
    pick(page, 8443)
    assert "&lt;b&gt;locked&lt;/b&gt;" in button(page, "ignore").toolTip()
    assert "<b>locked</b>" in button(page, "ignore").accessibleDescription()


def test_a_port_is_ignored_and_that_is_undone(
    qtbot: QtBot, served: ServedBackend, page: PortsPage
) -> None:
    pick(page, 8443)
    QTest.mouseClick(button(page, "ignore"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.banner.isVisible)
    assert served.backend._values["ignore"] == ["machine:tcp:8443"]
    assert page.banner.message == "Ignored from now on: machine:tcp:8443"
    page.banner.acted.emit()
    qtbot.waitUntil(lambda: not page.banner.isVisible())
    assert served.backend._values["ignore"] == []


def test_ignoring_stops_where_the_rule_is_the_users(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, session: Session
) -> None:
    served.backend._values["ignore"] = ["udp:1", "tcp:7000-7010"]
    with qtbot.waitSignal(session.settingsChanged):
        session.refresh()
    pick(page, 7001)
    assert not button(page, "ignore").isVisible()
    QTest.mouseClick(button(page, "unignore"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.banner.isVisible)
    assert served.backend._values["ignore"] == ["udp:1"]
    assert page.banner.message == "No longer ignored: tcp:7000-7010"
    pick(page, 5353)
    assert not button(page, "unignore").isEnabled()
    assert "by itself" in button(page, "unignore").accessibleDescription()


def test_a_locked_list_says_so_and_nothing_can_be_ignored(
    qtbot: QtBot, served: ServedBackend, page: PortsPage, session: Session
) -> None:
    served.backend.locked["ignore"] = "locked by the administrator in /etc/x.json"
    with qtbot.waitSignal(session.settingsChanged):
        session.refresh()
    pick(page, 8443)
    assert not button(page, "ignore").isEnabled()
    hint = find(page, QLabel, "ignore-obstacle")
    assert isinstance(hint, QLabel)
    assert hint.isVisible()
    assert "locked by the administrator in /etc/x.json" in hint.text()


def test_a_refused_change_is_told(qtbot: QtBot, served: ServedBackend, page: PortsPage) -> None:
    pick(page, 8443)
    served.backend.locked["ignore"] = "locked by the administrator"
    page.port_actions.ignore.trigger()
    qtbot.waitUntil(page.banner.isVisible)
    assert "locked by the administrator" in page.banner.message


@pytest.mark.parametrize(("port", "key"), [(8443, "ignore"), (6379, "remap"), (22, "ignore")])
def test_the_setting_that_a_row_hangs_on_is_asked_for(
    qtbot: QtBot, page: PortsPage, port: int, key: str
) -> None:
    pick(page, port)
    with qtbot.waitSignal(page.settingWanted) as told:
        QTest.mouseClick(button(page, "setting"), Qt.MouseButton.LeftButton)
    assert told.args == [key]


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_the_menu_of_a_row_has_every_action_and_opens_by_key(qtbot: QtBot, page: PortsPage) -> None:
    pick(page, 8443)
    page.table.customContextMenuRequested.emit(QPoint(5, 5))
    menu = page.table.findChild(QMenu, "ports-menu")
    assert isinstance(menu, QMenu)
    qtbot.waitUntil(menu.isVisible)
    assert menu.actions() == list(page.port_actions.all)
    menu.close()


def test_nothing_can_be_done_while_nothing_is_selected(page: PortsPage) -> None:
    page.table.clearSelection()
    assert not any(action.isEnabled() for action in page.port_actions.all)
    assert page.details.title == "No port is selected"
