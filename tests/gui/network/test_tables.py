"""The two lists of rules: by keyboard, checked while one types, pointed at where they are wrong."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QAbstractItemModel, QCoreApplication, QEvent, Qt
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from gui.network.table import RuleTable
from gui.session import Link
from tests.gui.network.conftest import Stage
from tests.served_backend import ServedBackend

Role = Qt.ItemDataRole
RULES = ["udp:5353", "tcp:7000-7010", "machine:tcp:22"]


class Typist:
    """A person with a keyboard, at one table."""

    def __init__(self, stage: Stage, key: str, bot: QtBot) -> None:
        self.stage = stage
        self.key = key
        self.table: RuleTable = stage.table(key)
        self.bot = bot
        tester = QAbstractItemModelTester.FailureReportingMode.Warning  # which fails a test
        QAbstractItemModelTester(self.table.model(), tester, self.table)
        stage.page.activateWindow()
        bot.waitUntil(stage.page.isActiveWindow)
        self.table.setFocus()

    def press(self, *keys: Qt.Key) -> None:
        """Press keys, one after the other."""
        for key in keys:
            QTest.keyClick(self._focus(), key)
            QCoreApplication.sendPostedEvents()  # an editor that Return closes, closes later

    def type(self, text: str) -> None:
        """Type letters."""
        QTest.keyClicks(self._focus(), text)

    def ctrl(self, key: Qt.Key) -> None:
        """Press a key together with Ctrl."""
        QTest.keyClick(self._focus(), key, Qt.KeyboardModifier.ControlModifier)

    @property
    def error(self) -> str:
        """What is said below the table."""
        return self.stage.words(f"{self.key}-error")

    def wrong_rows(self) -> list[int]:
        """The rows with a sign at them."""
        model = self.table.model()
        rows = range(model.rowCount())
        return [row for row in rows if self.at(model, row, Role.DecorationRole) is not None]

    def at(self, model: QAbstractItemModel, row: int, role: Role) -> object:
        """What the port's cell of a row has."""
        found = model.index(row, 1).data(role)
        return None if isinstance(found, QIcon) and found.isNull() else found

    def _focus(self) -> QWidget:
        focus = QApplication.focusWidget()
        assert focus is not None
        return focus


@pytest.fixture
def ignore(stage: Stage, qtbot: QtBot) -> Typist:
    stage.tell("ignore", RULES)
    stage.served.backend.calls.clear()
    return Typist(stage, "ignore", qtbot)


@pytest.fixture
def remap(stage: Stage, qtbot: QtBot) -> Typist:
    stage.tell("remap", {"tcp:8000": 18000, "udp:53": 5300})
    stage.served.backend.calls.clear()
    return Typist(stage, "remap", qtbot)


def test_rules_are_shown_in_words(ignore: Typist, remap: Typist) -> None:
    assert ignore.stage.shown("ignore") == [
        ["UDP", "5353", "either side"],
        ["TCP", "7000-7010", "either side"],
        ["TCP", "22", "containers"],
    ]
    assert remap.stage.shown("remap") == [["TCP", "8000", "18000"], ["UDP", "53", "5300"]]
    model = ignore.table.model()
    assert ignore.at(model, 0, Role.AccessibleTextRole) == "Port or range: 5353"


def test_a_rule_is_added_by_keyboard_alone(ignore: Typist) -> None:
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("8080-8090")
    assert ignore.stage.marked() == ["ignore"]
    ignore.press(Qt.Key.Key_Return)
    assert QApplication.focusWidget() is ignore.table
    ignore.stage.apply()
    assert ignore.stage.chosen("ignore") == [*RULES, "tcp:8080-8090"]


def test_a_whole_rule_can_be_typed_as_text(ignore: Typist) -> None:
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("host:udp:631")
    ignore.press(Qt.Key.Key_Return)
    assert ignore.stage.shown("ignore")[-1] == ["UDP", "631", "this computer"]
    assert not ignore.error
    ignore.stage.apply()
    assert ignore.stage.chosen("ignore") == [*RULES, "host:udp:631"]


def test_tab_goes_from_cell_to_cell_of_a_row_and_no_further(ignore: Typist) -> None:
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("99")
    ignore.press(Qt.Key.Key_Tab)
    assert isinstance(QApplication.focusWidget(), QComboBox)
    ignore.press(Qt.Key.Key_Down, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is ignore.table
    assert ignore.stage.shown("ignore")[-1] == ["TCP", "99", "containers"]
    ignore.press(Qt.Key.Key_Home, Qt.Key.Key_F2)
    assert isinstance(QApplication.focusWidget(), QComboBox)
    ignore.press(Qt.Key.Key_Down)
    assert ignore.stage.shown("ignore")[-1] == ["UDP", "99", "containers"]
    ignore.press(Qt.Key.Key_Escape)
    assert ignore.stage.shown("ignore")[-1] == ["TCP", "99", "containers"]


def test_escape_takes_a_row_back_to_what_it_was(ignore: Typist) -> None:
    ignore.table.select(1)
    ignore.press(Qt.Key.Key_F2)
    ignore.type("x")
    ignore.stage.until(lambda: bool(ignore.error))
    ignore.press(Qt.Key.Key_Escape)
    assert ignore.stage.shown("ignore")[1] == ["TCP", "7000-7010", "either side"]
    assert ignore.stage.marked() == []
    assert not ignore.error
    assert QApplication.focusWidget() is ignore.table


@pytest.mark.parametrize("ending", [Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Tab])
def test_a_row_that_stays_empty_is_none(ignore: Typist, ending: Qt.Key) -> None:
    ignore.press(Qt.Key.Key_Insert)
    assert ignore.table.model().rowCount() == 4
    assert ignore.stage.marked() == []
    ignore.press(ending)
    if ending == Qt.Key.Key_Tab:
        ignore.press(Qt.Key.Key_Return)
    assert ignore.table.model().rowCount() == 3
    assert ignore.stage.marked() == []


def test_escape_takes_a_new_row_away_even_if_something_was_typed(ignore: Typist) -> None:
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("80")
    ignore.press(Qt.Key.Key_Escape)
    assert len(ignore.stage.shown("ignore")) == 3
    assert ignore.stage.marked() == []


def test_leaving_an_empty_row_by_the_remove_button_removes_no_other(
    ignore: Typist,
) -> None:
    ignore.press(Qt.Key.Key_Insert)
    button = ignore.stage.button("ignore-remove")
    button.setFocus(Qt.FocusReason.MouseFocusReason)  # which a press does first
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(ignore.stage.shown("ignore")) == 3


def test_rules_are_removed_by_keyboard(ignore: Typist) -> None:
    ignore.table.select(0)
    ignore.press(Qt.Key.Key_Delete)
    assert [row[1] for row in ignore.stage.shown("ignore")] == ["7000-7010", "22"]
    assert ignore.table.selected_rows() == [0]
    ignore.ctrl(Qt.Key.Key_A)
    ignore.press(Qt.Key.Key_Delete)
    assert ignore.stage.shown("ignore") == []
    ignore.stage.apply()
    assert ignore.stage.chosen("ignore") == []


def test_buttons_do_what_the_keys_do(ignore: Typist) -> None:
    assert not ignore.stage.button("ignore-remove").isEnabled()
    assert not ignore.stage.button("ignore-edit").isEnabled()
    ignore.table.select(2)
    ignore.stage.press("ignore-edit")
    ignore.type("23")
    ignore.press(Qt.Key.Key_Return)
    assert ignore.stage.shown("ignore")[2][1] == "23"
    ignore.table.select(0)
    ignore.stage.press("ignore-remove")
    ignore.stage.press("ignore-add")
    ignore.type("5")
    ignore.press(Qt.Key.Key_Return)
    assert [row[1] for row in ignore.stage.shown("ignore")] == ["7000-7010", "23", "5"]


def test_rules_are_copied_and_pasted_as_text(ignore: Typist) -> None:
    ignore.ctrl(Qt.Key.Key_A)
    ignore.ctrl(Qt.Key.Key_C)
    assert QApplication.clipboard().text() == "\n".join(RULES)
    QApplication.clipboard().setText("tcp:1, udp:2\n\nhost:tcp:3\n")
    ignore.ctrl(Qt.Key.Key_V)
    ignore.stage.apply()
    assert ignore.stage.chosen("ignore") == [*RULES, "tcp:1", "udp:2", "host:tcp:3"]


def test_a_rule_is_checked_by_the_daemon_as_it_is_typed_and_its_row_marked(
    ignore: Typist,
) -> None:
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("70x")
    ignore.stage.until(lambda: bool(ignore.error))
    assert 'ignore[3] "tcp:70x" has no port from 1 to 65535 (at "70x")' in ignore.error
    assert ignore.wrong_rows() == [3]
    model = ignore.table.model()
    assert ignore.at(model, 3, Role.ToolTipRole) == ignore.error
    assert ignore.at(model, 3, Role.AccessibleDescriptionRole) == ignore.error
    assert ignore.error in ignore.table.accessibleDescription()
    assert isinstance(QApplication.focusWidget(), QLineEdit)  # typing goes on
    ignore.press(Qt.Key.Key_Backspace)
    ignore.stage.until(lambda: not ignore.error)
    assert ignore.wrong_rows() == []
    assert ignore.stage.served.backend.calls == []


def test_apply_selects_the_row_that_is_wrong_and_applies_the_rest(ignore: Typist) -> None:
    QApplication.clipboard().setText("tcp:x")
    ignore.ctrl(Qt.Key.Key_V)
    ignore.table.select(0)
    ignore.stage.box("reachHost").click()
    ignore.stage.box("reachHost").setFocus()
    ignore.stage.apply()
    assert ignore.stage.served.backend.calls == ["set reachHost"]
    assert ignore.table.selected_rows() == [3]
    assert QApplication.focusWidget() is ignore.table
    assert ignore.stage.marked() == ["ignore"]
    assert ignore.wrong_rows() == [3]
    ignore.press(Qt.Key.Key_Return)
    ignore.type("9")
    ignore.press(Qt.Key.Key_Return)
    ignore.stage.apply()
    assert ignore.stage.chosen("ignore") == [*RULES, "tcp:9"]
    assert not ignore.error


def test_a_remap_rule_is_added_with_the_second_port_after_the_first(remap: Typist) -> None:
    remap.press(Qt.Key.Key_Insert)
    remap.type("9000")
    assert remap.stage.shown("remap")[-1] == ["TCP", "9000", "9000"]
    remap.press(Qt.Key.Key_Tab)
    remap.type("19000")
    remap.press(Qt.Key.Key_Return)
    remap.stage.apply()
    assert remap.stage.chosen("remap") == {"tcp:8000": 18000, "udp:53": 5300, "tcp:9000": 19000}


def test_a_port_that_two_rules_lead_to_is_pointed_at(remap: Typist) -> None:
    remap.press(Qt.Key.Key_Insert)
    remap.type("9000")
    remap.press(Qt.Key.Key_Tab)
    remap.type("18000")
    remap.stage.until(lambda: bool(remap.error))
    assert 'remap["tcp:9000"] leads to the same port as "tcp:8000"' in remap.error
    assert remap.wrong_rows() == [2]


def test_a_rule_that_is_there_twice_cannot_be_sent_and_is_pointed_at(remap: Typist) -> None:
    remap.press(Qt.Key.Key_Insert)
    remap.type("8000")
    remap.press(Qt.Key.Key_Tab)
    remap.type("1")
    remap.press(Qt.Key.Key_Return)
    assert "is there twice" in remap.error
    assert remap.wrong_rows() == [2]
    remap.stage.box("reachHost").click()
    remap.stage.apply()
    assert remap.stage.served.backend.calls == ["set reachHost"]
    assert remap.table.selected_rows() == [2]
    assert remap.stage.marked() == ["remap"]
    remap.press(Qt.Key.Key_Delete)
    assert not remap.error
    assert remap.stage.marked() == []


def test_a_rule_that_is_there_twice_can_be_cancelled(remap: Typist) -> None:
    QApplication.clipboard().setText("tcp:8000: 18000")
    remap.ctrl(Qt.Key.Key_V)
    assert "is there twice" in remap.error
    remap.stage.press("cancel")
    assert remap.stage.shown("remap") == [["TCP", "8000", "18000"], ["UDP", "53", "5300"]]
    assert not remap.error
    assert not remap.stage.button("cancel").isEnabled()


def test_another_clients_rules_come_at_once_unless_the_list_was_touched(ignore: Typist) -> None:
    ignore.table.select(0)
    ignore.press(Qt.Key.Key_Delete)
    ignore.stage.tell("ignore", ["tcp:1"])
    assert [row[1] for row in ignore.stage.shown("ignore")] == ["7000-7010", "22"]
    assert "“tcp:1” elsewhere" in ignore.stage.words("ignore-elsewhere")
    ignore.stage.press("cancel")
    assert ignore.stage.shown("ignore") == [["TCP", "1", "either side"]]


def test_news_of_other_settings_leave_selection_and_typing_alone(ignore: Typist) -> None:
    ignore.table.select(1)
    ignore.press(Qt.Key.Key_F2)
    ignore.type("80")
    ignore.stage.tell("udpIdleSeconds", 7)
    assert isinstance(QApplication.focusWidget(), QLineEdit)
    assert ignore.table.selected_rows() == [1]
    ignore.type("81")
    ignore.press(Qt.Key.Key_Return)
    assert ignore.stage.shown("ignore")[1][1] == "8081"


def test_a_rule_that_the_columns_do_not_hold_is_shown_and_kept(stage: Stage, qtbot: QtBot) -> None:
    # A later daemon may know more than the window.
    stage.served.backend._values["ignore"] = ["sctp:80", "tcp:http\x07"]
    stage.hear()
    typist = Typist(stage, "ignore", qtbot)
    assert stage.shown("ignore") == [
        ["sctp", "80", "either side"],
        ["TCP", "http\N{REPLACEMENT CHARACTER}", "either side"],
    ]
    typist.table.setCurrentIndex(typist.table.model().index(0, 0))
    typist.press(Qt.Key.Key_F2, Qt.Key.Key_Return)
    assert stage.marked() == []


def test_an_empty_list_says_so(stage: Stage) -> None:
    table = stage.table("ignore")
    background = table.palette().color(QPalette.ColorRole.Base)
    picture = table.viewport().grab().toImage()
    middle = picture.height() // 2
    line = {picture.pixel(x, middle) for x in range(picture.width())}
    assert line != {background.rgb()}
    assert "ignored" in table.accessibleDescription()


def test_a_table_grows_with_its_rows_within_limits(stage: Stage) -> None:
    table = stage.table("ignore")
    heights = []
    for count in (0, 2, 4, 8, 50):
        stage.tell("ignore", [f"tcp:{port}" for port in range(1, count + 1)])
        assert table.minimumHeight() == table.maximumHeight()
        heights.append(table.minimumHeight())
    assert heights[0] == heights[1] < heights[2] < heights[3] == heights[4]


def test_the_sign_at_a_row_follows_the_palette(ignore: Typist) -> None:
    QApplication.clipboard().setText("tcp:x")
    ignore.ctrl(Qt.Key.Key_V)
    ignore.stage.until(lambda: bool(ignore.error))
    model = ignore.table.model()

    def ink() -> int:
        icon = ignore.at(model, 3, Role.DecorationRole)
        assert isinstance(icon, QIcon)
        image = icon.pixmap(32, 32).toImage()
        opaque = [
            image.pixelColor(x, y).lightness()
            for x in range(image.width())
            for y in range(image.height())
            if image.pixelColor(x, y).alpha() == 255
        ]
        return max(opaque)

    assert ink() < 100
    dark = QPalette(Qt.GlobalColor.black)
    dark.setColor(QPalette.ColorRole.Text, Qt.GlobalColor.white)
    ignore.stage.page.setPalette(dark)
    QApplication.sendPostedEvents(None, QEvent.Type.PaletteChange.value)
    assert ink() > 200


def test_a_cell_that_was_edited_when_the_daemon_went_hinders_nothing_when_it_is_back(
    ignore: Typist, qtbot: QtBot
) -> None:
    stage = ignore.stage
    stage.box("reachHost").click()
    ignore.table.setFocus()
    ignore.press(Qt.Key.Key_Insert)
    ignore.type("9")
    stage.served.do(stage.served.backend.stopped.set)
    qtbot.waitUntil(lambda: stage.session.link is not Link.READY)
    stage.served.join()
    with ServedBackend(stage.served.paths.api_socket.parents[1]):
        qtbot.waitUntil(lambda: stage.session.link is Link.READY)
        assert stage.button("apply").isEnabled()
        assert QApplication.focusWidget() is ignore.table
        stage.session.close()


def test_add_without_the_focus_leaves_no_empty_rule(ignore: Typist) -> None:
    """As a screen reader presses it."""
    before = ignore.stage.shown("ignore")
    for _ in range(2):
        ignore.table.add()
    ignore.type("80")
    ignore.press(Qt.Key.Key_Return)
    assert ignore.stage.shown("ignore") == [*before, ["TCP", "80", "either side"]]
