"""The window: its list of pages, its banner, its keys, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMessageBox,
    QPushButton,
    QTableView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui import icons
from gui.navigation import Navigation
from gui.pages import PageKind, all_pages
from gui.ports.columns import Column
from gui.preferences import PreferencesFile, room_on
from gui.session import Link, Problem, Session
from gui.window import Window
from tests.gui.cases import CASES, shown, until
from tests.gui.told import ToldSession, status_of

# What has no screen has nothing to be in front of.
pytestmark = pytest.mark.qt_log_ignore(r"This plugin does not support raise\(\)", extend=True)

ROLE = QPalette.ColorRole.Text
NAMES = ["general", "network", "ports", "machine", "about"]


class Page(QWidget):
    """A page that notes what the window asks of it."""

    pageWanted = Signal(str)  # noqa: N815
    settingWanted = Signal(str)  # noqa: N815
    tellsStateChanged = Signal()  # noqa: N815
    columnsChanged = Signal()  # noqa: N815

    def __init__(self, _: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.has_unsaved = False
        self.told_itself: set[str] = set()
        self.asked: list[Any] = []
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def tells_state(self, name: str) -> bool:
        return name in self.told_itself

    def refresh(self) -> None:
        self.asked.append("refresh")

    def focus_filter(self) -> None:
        self.asked.append("filter")

    def show_setting(self, name: str) -> None:
        self.asked.append(name)

    def columns_state(self) -> bytes:
        return b"columns"

    def restore_columns(self, state: bytes) -> None:
        self.asked.append(state)


def kinds() -> list[PageKind]:
    return [
        PageKind(
            *(name, name, name.title, Page),
            heading=(lambda: "Resources") if name in NAMES[1:4] else str,
            tells=frozenset({"switched-off"}) if name == "network" else frozenset(),
        )
        for name in NAMES
    ]


class Stage:
    """A window, what it knows, and whether it may hide."""

    def __init__(self, folder: Path) -> None:
        self.session = ToldSession()
        self.session.tell(Link.READY, status_of())
        self.preferences = PreferencesFile(folder / "window.json")
        self.may_hide = False
        self.window = self.another()

    def another(self) -> Window:
        return Window(self.session, self.preferences, kinds(), lambda: self.may_hide)

    def page(self, name: str) -> Page:
        page = self.window.page(name)
        assert isinstance(page, Page)
        return page


@pytest.fixture
def stage(tmp_path: Path, qtbot: QtBot) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    stage.window.show()
    qtbot.waitExposed(stage.window)
    yield stage
    stage.window.end()
    stage.window.close()
    stage.window.deleteLater()
    stage.session.close()


def navigation(stage: Stage) -> Navigation:
    found = stage.window.findChild(Navigation)
    assert isinstance(found, Navigation)
    return found


def banner(stage: Stage) -> str:
    """What the banner says, "" while it says nothing."""
    found = stage.window.findChild(QLabel, "banner-message")
    assert isinstance(found, QLabel)
    return found.text() if found.isVisible() else ""


def banner_button(stage: Stage) -> QPushButton:
    found = stage.window.findChild(QPushButton, "banner-action")
    assert isinstance(found, QPushButton)
    return found


def press(stage: Stage, key: Qt.Key, control: bool = True) -> None:
    modifier = Qt.KeyboardModifier
    QTest.keyClick(stage.window, key, modifier.ControlModifier if control else modifier.NoModifier)


# Pages.


def test_it_opens_on_network_the_first_time(stage: Stage) -> None:
    assert stage.window.page_name == "network"
    assert stage.window.windowTitle() == "Network · Samehost"


def test_pages_are_made_when_they_are_shown_first(stage: Stage) -> None:
    assert list(stage.window._pages) == ["network"]
    stage.window.show_page("ports")
    assert list(stage.window._pages) == ["network", "ports"]
    assert stage.page("ports").isVisible()
    assert not stage.page("network").isVisible()


def test_it_opens_where_it_was_left(stage: Stage, qtbot: QtBot) -> None:
    stage.window.show_page("machine")
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    again.show()
    assert again.page_name == "machine"


def test_a_page_that_there_is_not_is_not_heard(stage: Stage) -> None:
    stage.window.show_page("nowhere")
    assert stage.window.page_name == "network"


def test_one_that_is_remembered_and_is_not_there_any_more_gives_way(
    stage: Stage, qtbot: QtBot
) -> None:
    stage.preferences.change(page="nowhere")
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    again.show()
    assert again.page_name == "general"


def test_the_list_has_the_pages_and_a_heading_that_cannot_be_chosen(stage: Stage) -> None:
    view = navigation(stage)
    model = view.model()
    top = [model.index(row, 0) for row in range(model.rowCount())]
    assert [index.data() for index in top] == ["General", "Resources", "About"]
    assert model.flags(top[1]) == Qt.ItemFlag.NoItemFlags
    below = [model.index(row, 0, top[1]).data() for row in range(model.rowCount(top[1]))]
    assert below == ["Network", "Ports", "Machine"]
    assert view.accessibleName()
    assert view.accessibleDescription()


def test_the_arrow_keys_go_through_the_list_and_over_the_heading(stage: Stage) -> None:
    stage.window.show_page("general")
    for expected in ["network", "ports", "machine", "about", "about"]:
        QTest.keyClick(navigation(stage), Qt.Key.Key_Down)
        assert stage.window.page_name == expected
    for expected in ["machine", "ports", "network", "general"]:
        QTest.keyClick(navigation(stage), Qt.Key.Key_Up)
        assert stage.window.page_name == expected


def test_a_click_on_a_page_shows_it_and_one_on_the_heading_nothing(stage: Stage) -> None:
    view = navigation(stage)
    heading = view.model().index(1, 0)
    for index, expected in [(view.model().index(0, 0, heading), "network"), (heading, "network")]:
        QTest.mouseClick(
            view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(index).center()
        )
        assert stage.window.page_name == expected
    view.selectionModel().setCurrentIndex(
        view.model().index(2, 0, heading), QItemSelectionModel.SelectionFlag.ClearAndSelect
    )
    assert stage.window.page_name == "machine"


def test_the_list_shows_which_page_is_shown(stage: Stage) -> None:
    for name in NAMES:
        stage.window.show_page(name)
        assert navigation(stage).currentIndex().data() == name.title()
        assert navigation(stage).selectionModel().selectedIndexes()[0].data() == name.title()


def test_a_page_may_ask_for_another_and_for_a_setting(stage: Stage) -> None:
    stage.page("network").pageWanted.emit("ports")
    assert stage.window.page_name == "ports"
    stage.page("ports").settingWanted.emit("remap")
    assert stage.window.page_name == "network"
    assert stage.page("network").asked == ["remap"]


def test_the_columns_of_a_table_are_remembered(stage: Stage, qtbot: QtBot) -> None:
    stage.page("ports").columnsChanged.emit()
    assert stage.preferences.now.columns == b"columns"
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    page = again.page("ports")
    assert isinstance(page, Page)
    assert page.asked == [b"columns"]


# Keys.


def test_control_and_a_number_shows_a_page(stage: Stage) -> None:
    keys = [Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5]
    for key, name in zip(keys, NAMES, strict=True):
        press(stage, key)
        assert stage.window.page_name == name


def test_f5_looks_again_everywhere(stage: Stage) -> None:
    press(stage, Qt.Key.Key_F5, control=False)
    assert stage.session.refreshed == 1
    assert stage.page("network").asked == ["refresh"]


def test_control_f_goes_to_the_filter_of_ports(stage: Stage) -> None:
    press(stage, Qt.Key.Key_F)
    assert stage.window.page_name == "ports"
    assert stage.page("ports").asked == ["filter"]


@pytest.mark.parametrize(
    ("key", "control"), [(Qt.Key.Key_Escape, False), (Qt.Key.Key_W, True)], ids=["Esc", "Ctrl+W"]
)
def test_a_key_closes_the_window_into_the_tray(stage: Stage, key: Qt.Key, control: bool) -> None:
    stage.may_hide = True
    press(stage, key, control)
    assert not stage.window.isVisible()


def test_closing_quits_where_there_is_nothing_to_come_back_from(stage: Stage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(stage.window.quitted):
        press(stage, Qt.Key.Key_W)


def test_control_q_quits(stage: Stage, qtbot: QtBot) -> None:
    stage.may_hide = True
    with qtbot.waitSignal(stage.window.quitted):
        press(stage, Qt.Key.Key_Q)


# What is not applied.


@pytest.mark.parametrize("key", [Qt.Key.Key_W, Qt.Key.Key_Q], ids=["close", "quit"])
def test_what_is_not_applied_is_not_lost_unasked(stage: Stage, qtbot: QtBot, key: Qt.Key) -> None:
    stage.page("network").has_unsaved = True
    stage.window.show_page("about")
    with qtbot.assertNotEmitted(stage.window.quitted):
        press(stage, key)
        box = stage.window.findChild(QMessageBox, "quit-question")
        assert isinstance(box, QMessageBox)
        box.button(QMessageBox.StandardButton.Cancel).click()
    assert stage.window.isVisible()
    assert stage.window.page_name == "network"
    press(stage, key)
    with qtbot.waitSignal(stage.window.quitted):
        boxes = stage.window.findChildren(QMessageBox, "quit-question")
        boxes[-1].button(QMessageBox.StandardButton.Discard).click()


def test_hiding_in_the_tray_loses_nothing_and_asks_nothing(stage: Stage) -> None:
    stage.page("network").has_unsaved = True
    stage.may_hide = True
    stage.window.close()
    assert not stage.window.isVisible()
    assert stage.window.findChild(QMessageBox) is None


def test_the_end_of_the_session_is_not_held_up(stage: Stage, qtbot: QtBot) -> None:
    stage.page("network").has_unsaved = True
    stage.window.end()
    with qtbot.waitSignal(stage.window.quitted):
        assert stage.window.close()
    assert stage.window.findChild(QMessageBox) is None


# The banner.


def test_the_banner_says_what_is_wrong_with_the_action_that_helps(stage: Stage) -> None:
    assert banner(stage) == ""
    stage.session.tell(Link.ABSENT)
    assert banner(stage) == "Samehost is not running"
    banner_button(stage).click()
    assert stage.session.starts == 1
    stage.session.tell(Link.READY, status_of())
    assert banner(stage) == ""


def test_the_banner_leads_to_the_machine_and_not_from_it_to_itself(stage: Stage) -> None:
    stage.session.tell(Link.READY, status_of("reconnecting"))
    banner_button(stage).click()
    assert stage.window.page_name == "machine"
    assert banner(stage) == "The machine colima has gone"
    assert banner_button(stage).isHidden()


def test_a_page_that_tells_a_state_itself_has_no_banner_for_it(stage: Stage) -> None:
    stage.session.tell(Link.READY, status_of(enabled=False))
    assert banner(stage) == ""
    stage.window.show_page("ports")
    assert banner(stage) == "Host networking is off"
    stage.page("ports").told_itself = {"switched-off"}
    stage.page("ports").tellsStateChanged.emit()
    assert banner(stage) == ""


def test_an_action_that_failed_is_told_in_the_banner(stage: Stage) -> None:
    stage.session.tell(Link.READY, status_of("failed"))
    banner_button(stage).click()
    stage.session.asked[-1].fails(Problem("no way in", "look at its log", "MACHINE_UNREACHABLE"))
    assert banner(stage) == "no way in"


def test_that_there_are_no_ports_is_not_wrong(stage: Stage) -> None:
    stage.session.reset_rows([])
    stage.window.show_page("about")
    assert banner(stage) == ""


def test_how_things_stand_is_to_be_seen_on_every_page(stage: Stage) -> None:
    words = stage.window.findChild(QLabel, "glance-words")
    assert isinstance(words, QLabel)
    for name in NAMES:
        stage.window.show_page(name)
        assert words.isVisible()
    assert words.text().startswith("Host networking is on")
    stage.session.tell(Link.HUNG, status_of())
    assert words.text() == "Samehost does not answer"


def test_the_icons_of_the_list_follow_light_and_dark(stage: Stage) -> None:
    view = navigation(stage)
    index = view.model().index(0, 0)
    before = index.data(Qt.ItemDataRole.DecorationRole).cacheKey()
    dark = QPalette(QColor("#303033"))
    stage.window.setPalette(dark)
    after = index.data(Qt.ItemDataRole.DecorationRole)
    assert after.cacheKey() != before
    assert after.cacheKey() == icons.icon("general", view.palette(), ROLE).cacheKey()


# Who looks.


def test_the_ports_are_followed_only_while_somebody_can_see_the_window(
    stage: Stage, qtbot: QtBot
) -> None:
    assert stage.session.watching == [True]
    stage.window.hide()
    assert stage.session.watching == [True, False]
    stage.window.show()
    qtbot.waitUntil(lambda: stage.session.watching == [True, False, True])
    stage.window.showMinimized()
    qtbot.waitUntil(lambda: stage.session.watching == [True, False, True, False])
    stage.window.raise_it()
    qtbot.waitUntil(lambda: stage.session.watching[-1])
    assert not stage.window.isMinimized()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space])
def test_a_button_is_pressed_by_enter_and_space(key: Qt.Key) -> None:
    case = next(each for each in CASES if each.name == "machine")
    with shown(case) as look:
        button = look.find("search")
        button.setFocus()
        searches = look.backend.searches
        QTest.keyClick(button, key)
        until(lambda: look.backend.searches == searches + 1, "machines are looked for")
        until(lambda: case.is_there(look), "they were found")
        button.setEnabled(False)
        QTest.keyClick(look.window, key)
        assert look.backend.searches == searches + 1


# Its place.


def test_the_place_is_remembered(stage: Stage, qtbot: QtBot) -> None:
    wanted = stage.window.minimumSize().width() + 31
    stage.window.move(20, 30)
    stage.window.resize(wanted, 500)
    stage.window.remember()
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    assert (again.pos().x(), again.pos().y(), again.width()) == (20, 30, wanted)


def test_a_place_on_a_screen_that_has_gone_is_not_taken(stage: Stage, qtbot: QtBot) -> None:
    stage.preferences.change(place=(9000, 9000, 700, 500))
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    assert QGuiApplication.primaryScreen().availableGeometry().intersects(again.geometry())


def test_with_the_largest_letters_it_is_not_larger_than_the_screen(
    stage: Stage, qtbot: QtBot, qapp: QApplication
) -> None:
    font = qapp.font()
    qapp.setFont(QFont(font.family(), 60))
    try:
        again = stage.another()
    finally:
        qapp.setFont(font)
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    room = room_on(QGuiApplication.primaryScreen().availableGeometry())
    assert again.size().boundedTo(room) == again.size()


def test_no_number_stands_below_the_title_of_another_column_at_first() -> None:
    case = next(each for each in CASES if each.name == "ports")
    with shown(case) as look:
        table = look.page.findChild(QTableView)
        assert table is not None
        right = table.columnViewportPosition(Column.AGE) + table.columnWidth(Column.AGE)
        assert table.verticalScrollBar().isVisible()
        assert right <= table.viewport().width()


def test_that_it_was_maximised_is_remembered_with_the_place_that_it_had(
    stage: Stage, qtbot: QtBot
) -> None:
    stage.window.remember()
    place = stage.preferences.now.place
    stage.window.showMaximized()
    stage.window.remember()
    assert stage.preferences.now.maximised
    assert stage.preferences.now.place == place
    again = stage.another()
    qtbot.addWidget(again, before_close_func=lambda window: window.end())
    assert again.isMaximized()


def test_the_pages_of_the_program_are_those_of_the_list(tmp_path: Path) -> None:
    pages = all_pages(PreferencesFile(tmp_path / "window.json"))
    assert [page.name for page in pages] == NAMES
    assert all(page.title() for page in pages)
    assert [page.name for page in pages if page.heading()] == NAMES[1:4]
