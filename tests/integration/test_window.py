"""The window's controls, and what they do to real ports: a real daemon, machine and container."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QRadioButton
from pytestqt.qtbot import QtBot

from gui.network.page import NetworkPage
from gui.session import Link, Session, Starter
from tests.gui.network.person import Person
from tests.integration.puppet import exchange
from tests.integration.samehost import PATIENCE, Samehost, quiet_ports, running_samehost
from tests.integration.stage import refuses

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # which Qt reads when its application begins

SOON_MS = round(PATIENCE * 1000)


@pytest.fixture
def samehost() -> Iterator[Samehost]:
    """One that is up, its switch off."""
    with running_samehost(hostNetworkingEnabled=False) as samehost:
        yield samehost


class Window(Person):
    """The page before that daemon, and what the window knows of ports."""

    def __init__(self, samehost: Samehost, bot: QtBot) -> None:
        self.session = Session(str(samehost.paths.api_socket), Starter(["false"]))
        self.session.set_watching(True)
        page = NetworkPage(self.session)
        bot.addWidget(page)
        super().__init__(page, bot)
        self.session.open()
        page.show()
        page.activateWindow()
        self.until(lambda: self.session.link is Link.READY)

    def states(self, port: int, origin: str = "machine") -> list[str]:
        """The rows of one real listener's port."""
        rows = self.session.rows.values()
        return [
            each.state
            for each in rows
            if each.origin == origin and getattr(each, f"{origin}_port") == port
        ]

    def add(self, key: str, *cells: str) -> None:
        """Add a rule by keyboard, beginning with its port."""
        self.table(key).setFocus()
        QTest.keyClick(self.table(key), Qt.Key.Key_Insert)
        for cell in cells:
            editor = QApplication.focusWidget()
            assert editor is not None
            QTest.keyClicks(editor, cell)
            QTest.keyClick(editor, Qt.Key.Key_Tab)
        self.table(key).setFocus()
        self.apply()
        assert self.marked() == []

    def empty(self, key: str) -> None:
        """Remove all rules by keyboard."""
        self.table(key).setFocus()
        QTest.keyClick(self.table(key), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(self.table(key), Qt.Key.Key_Delete)
        self.apply()

    def until(self, condition: object) -> None:
        assert callable(condition)
        self.bot.waitUntil(condition, timeout=SOON_MS)


def answers(port: int, address: str = "127.0.0.1") -> bool:
    try:
        exchange("tcp", address, port, patience=PATIENCE)
    except OSError:
        return False
    return True


@pytest.fixture
def window(samehost: Samehost, qtbot: QtBot) -> Iterator[Window]:
    """The page, to be seen, and all known."""
    window = Window(samehost, qtbot)
    yield window
    window.session.close()


def test_every_control_of_the_network_page_does_to_real_ports_what_it_says(
    samehost: Samehost, window: Window
) -> None:
    port = quiet_ports(3)
    command = ["socat", f"TCP-LISTEN:{port},fork,reuseaddr", "SYSTEM:echo from the container"]
    server = socket.create_server(("127.0.0.1", port + 2))
    with samehost.container(*command) as container, server:
        inspect = ("inspect", "--format={{.State.Pid}}", container)
        process = samehost.docker(*inspect)
        assert refuses("tcp", "127.0.0.1", port)
        window.box("hostNetworkingEnabled").click()
        window.apply()
        window.until(lambda: answers(port))
        assert exchange("tcp", "127.0.0.1", port, patience=PATIENCE) == b"from the container\n"
        window.until(lambda: window.states(port + 2, "host") == ["active"])

        # 127.0.0.2 is this computer, too, but no listener on 127.0.0.1 answers there.
        assert answers(port, "127.0.0.2")
        window.find(QRadioButton, "portBinding-localhost").click()
        window.apply()
        window.until(lambda: not answers(port, "127.0.0.2"))
        window.until(lambda: answers(port))

        window.add("ignore", f"tcp:{port}")
        window.until(lambda: window.states(port) == ["ignored"])
        assert refuses("tcp", "127.0.0.1", port)
        window.empty("ignore")
        window.until(lambda: answers(port))

        window.add("remap", str(port), str(port + 1))
        window.until(lambda: answers(port + 1))
        assert refuses("tcp", "127.0.0.1", port)
        window.empty("remap")
        window.until(lambda: answers(port))

        window.box("reachHost").click()
        window.apply()
        window.until(lambda: window.states(port + 2, "host") == [])
        assert answers(port)

        window.box("hostNetworkingEnabled").click()
        window.apply()
        window.until(lambda: refuses("tcp", "127.0.0.1", port))
        assert window.words("network-status") == "Applied. Nothing was restarted."
        window.until(lambda: window.states(port) == [])
        assert samehost.docker(*inspect) == process
