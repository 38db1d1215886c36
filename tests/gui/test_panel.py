"""The real window where trays are on the message bus, as most desktops of today have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from tests.gui import screen as screens
from tests.gui.panel import panel
from tests.gui.screen import PATIENCE
from tests.gui.test_screen import Desk, desk_with
from tests.message_bus import MISSING as NO_BUS
from tests.message_bus import message_bus
from tests.served_backend import ServedBackend

MISSING = screens.missing() or NO_BUS
PATIENCE_MS = round(PATIENCE * 1000)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with message_bus(tmp_path) as address:
        yield address


@pytest.fixture
def desk(address: str) -> Iterator[Desk]:
    with desk_with(has_tray=False, DBUS_SESSION_BUS_ADDRESS=address) as desk:
        yield desk


@pytest.fixture
def daemon(desk: Desk) -> Iterator[ServedBackend]:
    with desk.daemon() as served:
        yield served


def test_it_hides_behind_an_icon_of_the_panel_and_a_click_brings_it_back(
    qtbot: QtBot, desk: Desk, daemon: ServedBackend, address: str
) -> None:
    assert daemon.paths.api_socket.exists()
    with panel(address) as shown, desk.window() as process:
        window = desk.shown_window()
        qtbot.waitUntil(lambda: bool(shown.items), timeout=PATIENCE_MS)
        assert shown.property_of("Status") == "Active"
        assert shown.property_of("Title")
        desk.shown.press(window, "alt+F4")
        qtbot.waitUntil(desk.is_hidden, timeout=PATIENCE_MS)
        shown.activate()
        qtbot.waitUntil(lambda: not desk.is_hidden(), timeout=PATIENCE_MS)
        assert process.poll() is None


def test_when_the_panel_goes_while_it_is_hidden_it_comes_back(
    qtbot: QtBot, desk: Desk, daemon: ServedBackend, address: str
) -> None:
    assert daemon.paths.api_socket.exists()
    with desk.window() as process:
        with panel(address) as shown:
            window = desk.shown_window()
            qtbot.waitUntil(lambda: bool(shown.items), timeout=PATIENCE_MS)
            desk.shown.press(window, "alt+F4")
            qtbot.waitUntil(desk.is_hidden, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: not desk.is_hidden(), timeout=PATIENCE_MS)
        desk.shown.press(desk.shown_window(), "alt+F4")
        assert process.wait(PATIENCE) == 0
