"""The Network page: what it shows, what Apply and Cancel do, and what goes wrong."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.fake import FakeBackend
from desktop.api.stream import address_of
from desktop.errors import PermissionDeniedError
from gui.network.draft import SWITCH
from gui.network.page import NetworkPage
from gui.session import Link, Session, Starter
from tests.gui.network.conftest import Stage
from tests.served_backend import ServedBackend

IDLE = "udpIdleSeconds"


def test_the_switch_is_off_where_nobody_turned_it_on(qtbot: QtBot) -> None:
    with tempfile.TemporaryDirectory(prefix="samehost-") as home, ServedBackend(Path(home)) as new:
        session = Session(address_of(new.paths.api_socket), Starter(["false"]))
        session.open()
        page = NetworkPage(session)
        qtbot.addWidget(page)
        qtbot.waitUntil(lambda: session.link is Link.READY)
        stage = Stage(page, new, session, qtbot)
        assert not stage.box(SWITCH).isChecked()
        assert stage.box(SWITCH).isEnabled()
        assert stage.box(SWITCH).text() == "&Enable host networking"
        assert stage.box("reachHost").isChecked()
        assert not stage.box("enhancedContainerIsolation").isChecked()
        session.close()


def test_it_says_what_the_switch_does_and_that_nothing_restarts(stage: Stage) -> None:
    words = stage.box(SWITCH).accessibleDescription()
    assert "--net=host" in words
    assert "localhost" in words
    labels = [each.property("text") or "" for each in stage.page.findChildren(QWidget)]
    assert any("no container and no engine is restarted" in label for label in labels)


def test_nothing_is_in_force_before_apply_and_all_of_it_after(stage: Stage) -> None:
    stage.box(SWITCH).click()
    stage.box("reachHost").click()
    stage.find(QRadioButton, "portBinding-localhost").click()
    stage.number(IDLE).setValue(30)
    stage.number("maxUdpFlows").setValue(10)
    keys = [SWITCH, "reachHost", "portBinding", IDLE, "maxUdpFlows"]
    assert stage.marked() == keys
    assert stage.words("network-status") == (
        "Not applied yet: Enable host networking, Let containers reach this computer, Port binding,"
        " UDP idle time, UDP conversations."
    )
    assert [stage.chosen(key) for key in keys] == [True, True, "as-bound", 90, 1024]
    stage.served.backend.calls.clear()
    stage.apply()
    assert [stage.chosen(key) for key in keys] == [False, False, "localhost", 30, 10]
    assert stage.served.backend.calls == [f"set {key}" for key in keys]
    assert stage.marked() == []
    assert stage.words("network-status") == "Applied. Nothing was restarted."
    assert not stage.button("apply").isEnabled()
    assert not stage.button("cancel").isEnabled()


def test_a_mark_is_heard_as_well_as_seen(stage: Stage) -> None:
    stage.box("reachHost").click()
    assert stage.words("reachHost-mark") == "• not applied yet"
    assert "not applied yet" in stage.box("reachHost").accessibleDescription()
    stage.box("reachHost").click()
    assert "not applied yet" not in stage.box("reachHost").accessibleDescription()
    assert stage.marked() == []


def test_cancel_shows_what_is_in_force(stage: Stage) -> None:
    stage.box(SWITCH).click()
    stage.number(IDLE).setValue(0)
    stage.until(lambda: bool(stage.words(f"{IDLE}-error")))
    stage.press("cancel")
    assert stage.box(SWITCH).isChecked()
    assert stage.number(IDLE).value() == 90
    assert not stage.words(f"{IDLE}-error")
    assert stage.marked() == []
    assert stage.words("network-status") == ""
    assert stage.served.backend.calls == []


def test_whether_there_is_something_to_apply_is_told(stage: Stage) -> None:
    told: list[bool] = []
    stage.page.unsavedChanged.connect(told.append)
    stage.box(SWITCH).click()
    stage.box("reachHost").click()
    before = stage.page.has_unsaved
    stage.press("cancel")
    assert (before, stage.page.has_unsaved) == (True, False)
    assert told == [True, False]


def test_leaving_the_page_keeps_the_draft(stage: Stage) -> None:
    stage.box("reachHost").click()
    stage.page.hide()
    stage.page.show()
    assert stage.marked() == ["reachHost"]
    assert not stage.box("reachHost").isChecked()


def test_apply_has_a_key(stage: Stage, qtbot: QtBot) -> None:
    stage.page.activateWindow()
    qtbot.waitUntil(stage.page.isActiveWindow)
    stage.box("reachHost").setFocus()
    QTest.keyClick(stage.box("reachHost"), Qt.Key.Key_Space)
    QTest.keyClick(stage.page, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    stage.until(lambda: stage.chosen("reachHost") is False)


# While typing


def test_a_number_is_checked_by_the_daemon_as_it_is_typed(stage: Stage) -> None:
    stage.number(IDLE).setValue(100_000)
    stage.until(lambda: bool(stage.words(f"{IDLE}-error")))
    words = stage.words(f"{IDLE}-error")
    assert "udpIdleSeconds is 100000, not between 1 and 86400" in words
    assert words in stage.number(IDLE).accessibleDescription()
    stage.number(IDLE).setValue(100)
    stage.until(lambda: not stage.words(f"{IDLE}-error"))
    assert stage.served.backend.calls == []


def test_only_the_newest_value_is_checked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    check = FakeBackend.check_setting

    async def watch(self: FakeBackend, key: str, value: object) -> None:
        checked.append(value)
        await check(self, key, value)

    monkeypatch.setattr(FakeBackend, "check_setting", watch)
    for value in (0, 200_000, 300_000):
        stage.number(IDLE).setValue(value)
    stage.until(lambda: "300000" in stage.words(f"{IDLE}-error"))
    assert checked == [300_000]


def test_the_wheel_scrolls_the_page_and_changes_no_number_without_focus(stage: Stage) -> None:
    number = stage.number(IDLE)
    stage.box(SWITCH).setFocus()
    place = QPoint(5, 5)
    event = QWheelEvent(
        place,
        number.mapToGlobal(place),
        QPoint(0, 120),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(number, event)
    assert number.value() == 90
    assert not event.isAccepted()


# What the daemon does not take


def test_what_fails_is_pointed_at_and_stays_while_the_rest_is_applied(stage: Stage) -> None:
    stage.page.activateWindow()
    stage.number(IDLE).setValue(0)
    stage.box("reachHost").click()
    stage.number("maxUdpFlows").setValue(5)
    stage.apply()
    assert (stage.chosen("reachHost"), stage.chosen("maxUdpFlows")) == (False, 5)
    assert stage.chosen(IDLE) == 90
    assert stage.marked() == [IDLE]
    assert stage.number(IDLE).value() == 0
    assert "udpIdleSeconds is 0" in stage.words(f"{IDLE}-error")
    assert stage.words("network-status").startswith("1 setting could not be applied.")
    assert QApplication.focusWidget() is stage.number(IDLE)
    note = stage.page.findChild(QWidget, f"{IDLE}-error")
    assert note is not None
    assert not note.visibleRegion().isEmpty()


def test_a_setting_that_cannot_be_stored_says_so_at_its_control(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_self: FakeBackend, _key: str, _value: object) -> None:
        raise PermissionDeniedError("the file cannot be written", "look at its rights")

    monkeypatch.setattr(FakeBackend, "set_setting", refuse)
    stage.box("reachHost").click()
    stage.apply()
    expected = "the file cannot be written (look at its rights)"
    assert stage.words("reachHost-error") == expected
    assert not stage.box("reachHost").isChecked()
    stage.press("cancel")
    assert stage.words("reachHost-error") == ""


def test_words_of_the_daemon_are_only_words(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_self: FakeBackend, _key: str, _value: object) -> None:
        raise PermissionDeniedError("<b>bold</b>\x1b[31m \u202eright to left")

    monkeypatch.setattr(FakeBackend, "set_setting", refuse)
    stage.box("reachHost").click()
    stage.apply()
    words = stage.words("reachHost-error")
    assert words.startswith("<b>bold</b>")
    assert words.isprintable()
    assert "\u202e" not in words


# Another client


def test_another_client_is_followed_at_once_where_nothing_was_touched(stage: Stage) -> None:
    stage.tell(SWITCH, False)
    stage.tell("portBinding", "localhost")
    stage.tell(IDLE, 17)
    stage.tell("ignore", ["tcp:1"])
    stage.tell("remap", {"udp:2": 3})
    assert not stage.box(SWITCH).isChecked()
    assert stage.find(QRadioButton, "portBinding-localhost").isChecked()
    assert stage.number(IDLE).value() == 17
    assert stage.shown("ignore") == [["TCP", "1", "either side"]]
    assert stage.shown("remap") == [["UDP", "2", "3"]]
    assert stage.marked() == []
    assert not stage.button("apply").isEnabled()


def test_a_setting_that_was_touched_stays_and_cancel_takes_the_other_value(stage: Stage) -> None:
    stage.number(IDLE).setValue(30)
    stage.tell(IDLE, 60)
    assert stage.number(IDLE).value() == 30
    assert "“60” elsewhere" in stage.words(f"{IDLE}-elsewhere")
    assert stage.words(f"{IDLE}-elsewhere") in stage.number(IDLE).accessibleDescription()
    stage.press("cancel")
    assert stage.number(IDLE).value() == 60
    assert stage.words(f"{IDLE}-elsewhere") == ""


def test_what_is_set_elsewhere_is_told_in_the_words_of_the_page(stage: Stage) -> None:
    stage.find(QRadioButton, "portBinding-localhost").click()
    stage.served.backend._values["portBinding"] = "of-a-later-version"
    stage.hear()
    assert "“of-a-later-version” elsewhere" in stage.words("portBinding-elsewhere")
    stage.press("cancel")
    for value in ("localhost", "as-bound"):
        assert not stage.find(QRadioButton, f"portBinding-{value}").isChecked()
    stage.find(QRadioButton, "portBinding-localhost").click()
    stage.served.backend._values["portBinding"] = "as-bound"
    stage.hear()
    assert "“As the container binds” elsewhere" in stage.words("portBinding-elsewhere")


def test_the_same_change_elsewhere_leaves_nothing_to_apply(stage: Stage) -> None:
    stage.box("reachHost").click()
    stage.tell("reachHost", False)
    assert stage.marked() == []
    assert not stage.button("apply").isEnabled()


def test_apply_keeps_mine_where_it_was_changed_elsewhere(stage: Stage) -> None:
    stage.number(IDLE).setValue(30)
    stage.tell(IDLE, 60)
    stage.apply()
    assert stage.chosen(IDLE) == 30
    assert stage.words(f"{IDLE}-elsewhere") == ""


# The daemon goes


def test_without_a_daemon_the_last_values_are_greyed_and_the_draft_waits(
    stage: Stage, qtbot: QtBot
) -> None:
    stage.page.activateWindow()
    stage.number(IDLE).setFocus()
    stage.number(IDLE).setValue(30)
    stage.box("reachHost").click()
    stage.tell("maxUdpFlows", 7)
    stage.number(IDLE).setFocus()
    stage.served.do(stage.served.backend.stopped.set)
    qtbot.waitUntil(lambda: stage.session.link is not Link.READY)
    for key in (SWITCH, "reachHost"):
        assert not stage.box(key).isEnabled()
    assert stage.number("maxUdpFlows").value() == 7
    assert stage.number(IDLE).value() == 30
    assert stage.marked() == ["reachHost", IDLE]
    assert not stage.button("apply").isEnabled()
    assert stage.button("cancel").isEnabled()
    stage.served.join()
    home = stage.served.paths.api_socket.parents[1]
    with ServedBackend(home):
        qtbot.waitUntil(lambda: stage.session.link is Link.READY)
        assert stage.box(SWITCH).isEnabled()
        assert stage.number(IDLE).value() == 30
        assert stage.number("maxUdpFlows").value() == 1024
        assert stage.marked() == ["reachHost", IDLE]
        assert QApplication.focusWidget() is stage.number(IDLE)


def test_a_daemon_that_goes_while_settings_are_applied_leaves_the_rest_in_the_draft(
    stage: Stage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def vanish(self: FakeBackend, _key: str, _value: object) -> None:
        self.stopped.set()
        await self.gate.wait()

    stage.served.do(stage.served.backend.gate.clear)
    monkeypatch.setattr(FakeBackend, "set_setting", vanish)
    stage.box("reachHost").click()
    stage.number(IDLE).setValue(30)
    stage.press("apply")
    qtbot.waitUntil(lambda: stage.session.link is not Link.READY)
    stage.until(lambda: stage.words("network-status") != "Applying…")
    assert stage.marked() == ["reachHost", IDLE]
    assert stage.words("reachHost-error") == ""  # it is no fault of that setting
    assert stage.button("cancel").isEnabled()


# By keyboard


def test_tab_comes_to_every_control_in_the_order_in_which_it_is_seen(
    stage: Stage, qtbot: QtBot
) -> None:
    stage.tell("ignore", ["tcp:1"])
    stage.table("ignore").select(0)
    stage.number(IDLE).setValue(30)
    stage.page.activateWindow()
    qtbot.waitUntil(stage.page.isActiveWindow)
    stage.box(SWITCH).setFocus()
    seen = []
    while (focus := QApplication.focusWidget()) is not None and focus.objectName() not in seen:
        seen.append(focus.objectName())
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    expected = [
        *(f"{SWITCH}-control", "reachHost-control", "portBinding-as-bound"),
        *("ignore-table", "ignore-add", "ignore-edit", "ignore-remove"),
        *("remap-table", "remap-add"),
        *(f"{IDLE}-control", "maxUdpFlows-control", "enhancedContainerIsolation-control"),
        *("cancel", "apply"),
    ]
    assert seen == expected
    assert QGuiApplication.focusObject() is stage.box(SWITCH)


def test_every_control_has_a_name_and_a_description(stage: Stage) -> None:
    stage.tell("ignore", ["tcp:1"])
    for widget in stage.page.findChildren(QWidget):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(stage.page):
            if widget.objectName().startswith("qt_"):
                continue  # a part of the one around it
            assert widget.accessibleName(), widget.objectName()
            assert widget.accessibleDescription(), widget.objectName()


def test_what_is_wrong_with_the_files_of_settings_is_said_until_it_is_not(stage: Stage) -> None:
    words = "settings.json was broken and is kept as settings.json.broken (look)"
    for problems, said in (([words], words), ([], "")):
        stage.served.backend.settings_problems = problems
        stage.session.refresh()
        stage.bot.waitUntil(partial(is_said, stage, said))


def is_said(stage: Stage, words: str) -> bool:
    """Above all settings the page says that, or nothing."""
    return stage.words("network-problems") == words


def test_a_setting_that_is_asked_for_has_the_keyboard_and_is_seen(stage: Stage) -> None:
    stage.page.resize(stage.page.width(), 300)
    table = stage.find(QWidget, "remap-table")
    assert table.visibleRegion().isEmpty()
    stage.page.show_setting("remap")
    stage.page.show_setting("no such setting")
    assert QApplication.focusWidget() is table
    assert not table.visibleRegion().isEmpty()


def test_what_a_mnemonic_gives_the_keyboard_to_is_seen(stage: Stage, qtbot: QtBot) -> None:
    stage.page.resize(stage.page.width(), 300)
    stage.page.activateWindow()
    qtbot.waitUntil(stage.page.isActiveWindow)
    number = stage.number(IDLE)
    assert number.visibleRegion().isEmpty()
    QTest.keyClick(stage.page, Qt.Key.Key_U, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: not number.visibleRegion().isEmpty())
    assert number.hasFocus()
