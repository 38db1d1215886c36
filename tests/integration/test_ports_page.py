"""The page Ports before a real daemon, machine and container."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QEvent, QObject
from pytestqt.qtbot import QtBot

from gui.ports.columns import Column
from gui.ports.page import PortsPage
from gui.session import Link, Session, Starter
from tests.integration.puppet import exchange
from tests.integration.samehost import PATIENCE, Samehost, quiet_ports, running_samehost
from tests.integration.stage import refuses

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # which Qt reads when its application begins

SOON = 0.3
"""Seconds from a change in a container to the screen."""

TRIES = 5
"""A loaded computer may be late now and then; the best of some is what the program takes."""


@pytest.fixture
def samehost() -> Iterator[Samehost]:
    with running_samehost() as samehost:
        yield samehost


class Screen(QObject):
    """The page, and when its table was painted last."""

    def __init__(self, samehost: Samehost, bot: QtBot) -> None:
        super().__init__()
        self.painted_at = 0.0
        self.session = Session(str(samehost.paths.api_socket), Starter(["false"]))
        self.session.set_watching(True)
        self.session.open()
        self.page = PortsPage(self.session)
        self._bot = bot
        bot.addWidget(self.page)
        self.page.table.viewport().installEventFilter(self)
        self.page.show()
        self.until(lambda: self.session.link is Link.READY)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Paint:
            self.painted_at = time.monotonic()
        return False

    def until(self, condition: Callable[[], bool]) -> None:
        self._bot.waitUntil(condition, timeout=round(PATIENCE * 1000))

    def cells(self, port: int, column: Column = Column.STATE) -> list[str]:
        """What a column says of the rows of a port in the machine."""
        model = self.page.model
        return [
            str(model.index(place, column).data())
            for place in range(model.rowCount())
            if model.entry(place).row.machine_port == port
        ]

    def painted_after(self, moment: float) -> float:
        """Seconds from then until the table was painted."""
        self.until(lambda: self.painted_at > moment)
        return self.painted_at - moment


@pytest.fixture
def screen(samehost: Samehost, qtbot: QtBot) -> Iterator[Screen]:
    screen = Screen(samehost, qtbot)
    yield screen
    screen.page.hide()
    screen.session.close()


def test_a_port_of_a_container_is_on_the_screen_at_once_and_can_be_ignored(
    samehost: Samehost, screen: Screen
) -> None:
    first = quiet_ports(TRIES)
    with samehost.puppet("web") as puppet:
        delays = []
        for port in range(first, first + TRIES):
            server = puppet.open("tcp", "0.0.0.0", port, "hello")
            opened = time.monotonic()
            screen.until(lambda port=port: screen.cells(port) == ["Active"])  # type: ignore[misc]
            delays.append(screen.painted_after(opened))
            if port > first:
                server.close()
                screen.until(lambda port=port: screen.cells(port) == [])  # type: ignore[misc]
        assert min(delays) < SOON, delays
        assert screen.cells(first, Column.CONTAINER) == ["web"]
        assert exchange("tcp", "127.0.0.1", first) == b"hello"

        model = screen.page.model
        keys = [
            place
            for place in range(model.rowCount())
            if model.entry(place).row.machine_port == first
        ]
        screen.page.table.selectRow(keys[0])
        screen.page.port_actions.ignore.trigger()
        screen.until(lambda: screen.cells(first) == ["Ignored"])
        assert refuses("tcp", "127.0.0.1", first)
        assert screen.page.details.reason == f"ignored by the setting machine:tcp:{first}"
        screen.page.port_actions.unignore.trigger()
        screen.until(lambda: screen.cells(first) == ["Active"])
        assert exchange("tcp", "127.0.0.1", first) == b"hello"
