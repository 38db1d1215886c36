"""Whether there is a tray: with none, with one that comes late, and with one that goes."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QSystemTrayIcon
from pytestqt.qtbot import QtBot

from gui import tray_place as module
from gui.tray_place import TrayPlace


def test_where_nothing_shows_icons_there_is_no_place_for_one(qtbot: QtBot) -> None:
    place = TrayPlace()
    with qtbot.waitSignal(place.changed):
        place.look()
    assert not place.is_there


def test_a_place_that_comes_and_goes_is_told(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    place = TrayPlace()
    place.look()
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    with qtbot.waitSignal(place.changed):
        place._ask_qt()
    assert place.is_there
    with qtbot.waitSignal(place.changed):
        place._gone()
    assert not place.is_there


def test_a_panel_that_comes_late_is_waited_for_but_not_for_ever(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a session with a bus, on which nobody shows icons."""
    monkeypatch.setattr(module, "PATIENCE_MS", 1)
    place = TrayPlace()
    with qtbot.waitSignal(place.changed):
        place._patience.start()
    assert not place.is_there
