"""Settings that cannot be changed, and who says so: administrator, isolation, engine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.stream import address_of
from desktop.cli.launch import start_daemon
from desktop.cli.stopping import stop_daemon
from desktop.paths import HOME_VARIABLE, Paths
from gui.network.draft import ISOLATION, SWITCH
from gui.network.page import NetworkPage
from gui.parts import IconLabel
from gui.session import Link, Session, Starter
from tests.gui.network.conftest import Stage

LOCK = f"{SWITCH}-lock"
FILE = "/etc/samehost/admin-settings.json"
BY_ADMINISTRATOR = f"locked by the administrator in {FILE}"


def lock(stage: Stage, *keys: str) -> None:
    stage.served.do(
        lambda: stage.served.backend.locked.update(dict.fromkeys(keys, BY_ADMINISTRATOR))
    )
    stage.hear()


def icons_of(stage: Stage, name: str) -> list[str]:
    note = stage.page.findChild(QWidget, name)
    assert note is not None
    return [each.name for each in note.findChildren(IconLabel) if each.isVisibleTo(stage.page)]


def focus_by_tab(stage: Stage, qtbot: QtBot) -> list[QWidget]:
    """Where one comes to with Tab, once around."""
    stage.page.activateWindow()
    qtbot.waitUntil(stage.page.isActiveWindow)
    seen: list[QWidget] = []
    stage.box("reachHost").setFocus()
    while (focus := QApplication.focusWidget()) is not None and focus not in seen:
        seen.append(focus)
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    return seen


def test_what_the_administrator_locked_is_disabled_and_says_by_which_file(
    stage: Stage, qtbot: QtBot
) -> None:
    lock(stage, SWITCH)
    assert not stage.box(SWITCH).isEnabled()
    words = stage.words(LOCK)
    assert words == f"Only the administrator of this computer can change this.\n{BY_ADMINISTRATOR}"
    assert icons_of(stage, LOCK) == ["lock"]
    assert BY_ADMINISTRATOR in stage.box(SWITCH).accessibleDescription()
    assert stage.box("reachHost").isEnabled()
    reached = {each.objectName(): each for each in focus_by_tab(stage, qtbot)}
    assert f"{SWITCH}-control" not in reached
    assert FILE in reached[f"{LOCK}-text"].accessibleName()


def test_every_setting_can_be_locked(stage: Stage) -> None:
    keys = ["reachHost", "portBinding", "ignore", "remap", "udpIdleSeconds", "maxUdpFlows"]
    keys.append(ISOLATION)
    stage.tell("ignore", ["tcp:1"])
    lock(stage, *keys)
    for key in keys:
        assert FILE in stage.words(f"{key}-lock")
    for key in ("reachHost", ISOLATION):
        assert not stage.box(key).isEnabled()
    for key in ("udpIdleSeconds", "maxUdpFlows"):
        assert not stage.number(key).isEnabled()
    for value in ("as-bound", "localhost"):
        assert not stage.find(QRadioButton, f"portBinding-{value}").isEnabled()


def test_a_locked_list_can_be_read_but_not_changed(stage: Stage) -> None:
    stage.tell("ignore", ["tcp:1", "tcp:2"])
    lock(stage, "ignore")
    table = stage.table("ignore")
    table.select(0)
    QApplication.clipboard().setText("tcp:9")
    for key in (Qt.Key.Key_Insert, Qt.Key.Key_Delete, Qt.Key.Key_F2, Qt.Key.Key_Return):
        QTest.keyClick(table, key)
    QTest.keyClick(table, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(table, Qt.Key.Key_8)
    assert [row[1] for row in stage.shown("ignore")] == ["1", "2"]
    assert stage.marked() == []
    for name in ("add", "edit", "remove"):
        assert not stage.button(f"ignore-{name}").isEnabled()
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "tcp:1"


def test_a_setting_that_gets_locked_while_it_is_edited_shows_what_is_in_force(stage: Stage) -> None:
    stage.box("reachHost").click()
    stage.number("udpIdleSeconds").setValue(30)
    lock(stage, "reachHost")
    assert stage.box("reachHost").isChecked()
    assert stage.marked() == ["udpIdleSeconds"]


def test_a_lock_that_is_taken_off_frees_the_control(stage: Stage) -> None:
    lock(stage, SWITCH)
    stage.served.do(stage.served.backend.locked.clear)
    stage.hear()
    assert stage.box(SWITCH).isEnabled()
    assert stage.words(LOCK) == ""


def test_isolation_disables_the_switch_and_the_way_out_is_shown(stage: Stage, qtbot: QtBot) -> None:
    stage.tell(ISOLATION, True)
    assert not stage.box(SWITCH).isEnabled()
    assert not stage.box(SWITCH).isChecked()
    assert "off while Enhanced Container Isolation is on" in stage.words(LOCK)
    assert stage.words(LOCK) in stage.box(SWITCH).accessibleDescription()
    stage.page.activateWindow()
    qtbot.waitUntil(stage.page.isActiveWindow)
    stage.press(f"{LOCK}-action")
    assert QApplication.focusWidget() is stage.box(ISOLATION)
    assert not stage.box(ISOLATION).visibleRegion().isEmpty()
    stage.box(ISOLATION).click()
    stage.apply()
    stage.until(lambda: stage.box(SWITCH).isEnabled())
    assert stage.box(SWITCH).isChecked()
    assert stage.words(LOCK) == ""


def test_isolation_that_only_the_administrator_can_turn_off_shows_no_way_out(stage: Stage) -> None:
    stage.tell(ISOLATION, True)
    lock(stage, ISOLATION)
    assert "only the administrator of this computer can turn off" in stage.words(LOCK)
    assert not stage.button(f"{LOCK}-action").isVisibleTo(stage.page)


def test_isolation_and_the_switch_wanted_at_once_says_at_the_switch_why_not(stage: Stage) -> None:
    stage.tell(SWITCH, False)
    stage.box(SWITCH).click()
    stage.box(ISOLATION).click()
    stage.apply()
    assert stage.chosen(ISOLATION) is True
    assert stage.chosen(SWITCH) is False
    assert not stage.box(SWITCH).isEnabled()
    assert "Enhanced Container Isolation" in stage.words(LOCK)


def test_windows_containers_disable_the_switch_and_say_what_is_supported(stage: Stage) -> None:
    reason = "this engine runs Windows containers; only Linux containers are supported"
    stage.served.do(lambda: setattr(stage.served.backend, "engine", reason))
    stage.hear()
    assert not stage.box(SWITCH).isEnabled()
    assert not stage.box(SWITCH).isChecked()
    ours, theirs = stage.words(LOCK).split("\n")
    assert ours.startswith("Host networking is for Linux containers only.")
    assert "use another machine" in ours
    assert theirs == reason
    assert stage.box("reachHost").isEnabled()


# A daemon as it is, and a file of the administrator


@pytest.fixture
def home() -> Iterator[Path]:
    """A SAMEHOST_HOME with a path short enough for sockets."""
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def under_policy(
    home: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> Iterator[Callable[[str], NetworkPage]]:
    """Opens the page before a daemon's process that finds this file of the administrator."""
    paths = Paths.under(home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    session = Session(address_of(paths.api_socket), Starter(["false"]))

    def open_page(policy: str) -> NetworkPage:
        paths.policy_file.parent.mkdir()
        paths.policy_file.write_text(policy)
        start_daemon(paths)
        page = NetworkPage(session)
        qtbot.addWidget(page)
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        return page

    yield open_page
    session.close()
    stop_daemon(paths, lambda _line: None)


def switch_and_note(page: NetworkPage) -> tuple[QWidget, str]:
    switch = page.findChild(QWidget, f"{SWITCH}-control")
    note = page.findChild(QWidget, f"{LOCK}-text")
    assert switch is not None
    assert note is not None
    return switch, note.accessibleName()


def test_a_policy_file_locks_the_switch_as_it_says(
    under_policy: Callable[[str], NetworkPage], home: Path
) -> None:
    policy = json.dumps({SWITCH: {"locked": True, "value": True}})
    switch, words = switch_and_note(under_policy(policy))
    assert not switch.isEnabled()
    assert switch.property("checked") is True
    assert f"locked by the administrator in {home / 'admin' / 'admin-settings.json'}" in words


def test_a_broken_policy_file_locks_the_switch_off_and_is_shown(
    under_policy: Callable[[str], NetworkPage],
) -> None:
    switch, words = switch_and_note(under_policy('{"hostNetworkingEnabled": {"locked": tru'))
    assert not switch.isEnabled()
    assert switch.property("checked") is False
    assert "the administrator's settings are broken, so it is off" in words
