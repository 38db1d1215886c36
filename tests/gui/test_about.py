"""The page About: versions, licences, and details that name nobody's containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui.about import DOCUMENTS, AboutPage, details
from gui.parts import CopyButton
from gui.session import Link
from link.version import VERSION
from tests.gui.told import ToldSession, status_of

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("qapp")


def texts(page: AboutPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel))


def test_it_says_version_and_licences(told: ToldSession, qtbot: QtBot) -> None:
    page = AboutPage(told)
    qtbot.addWidget(page)
    for words in (VERSION, "Apache License 2.0", "Lesser General Public", qVersion(), "PySide6"):
        assert words in texts(page)


def test_a_daemon_of_another_version_is_told(told: ToldSession, qtbot: QtBot) -> None:
    page = AboutPage(told)
    qtbot.addWidget(page)
    told.tell(Link.READY, status_of(version="9.9.9"))
    assert f"Version {VERSION}; in the background: 9.9.9" in texts(page)
    told.tell(Link.ABSENT)
    assert "9.9.9" not in texts(page)


def test_the_documents_that_it_names_are_there() -> None:
    assert [name for name in DOCUMENTS if not (PROJECT / name).is_file()] == []


def test_details_are_copied_for_a_report(told: ToldSession, qtbot: QtBot) -> None:
    page = AboutPage(told)
    qtbot.addWidget(page)
    told.tell(Link.READY, status_of())
    button = page.findChild(CopyButton, "copy-details")
    assert isinstance(button, CopyButton)
    button.click()
    copied = QGuiApplication.clipboard().text()
    for words in (f"Samehost: {VERSION}", "Qt: ", "Daemon: version 0.1.0", "kernel 6.1", "eBPF"):
        assert words in copied
    button._over.stop()


def test_details_name_no_machine(told: ToldSession) -> None:
    told.tell(Link.READY, status_of("connected", "failed"))
    text = details(Link.READY, told.status, {"XDG_SESSION_TYPE": "wayland"})
    assert "Machine 2: colima failed" in text
    assert "wayland" in text
    assert "Host networking: on" in text


def test_details_say_that_there_is_no_daemon() -> None:
    assert "Daemon: absent" in details(Link.ABSENT, None, {})
    assert "Desktop: unknown" in details(Link.ABSENT, None, {})
