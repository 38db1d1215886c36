"""The page General: the daemon's start and stop, its counts, and the window's wishes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QCheckBox, QLabel, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.types import ByteCounts, FlowCounts, PortCounts
from gui.general import GeneralPage
from gui.preferences import PreferencesFile
from gui.session import Link, Problem, Session
from tests.gui.told import ToldSession, status_of
from tests.served_backend import ServedBackend


@pytest.fixture
def preferences(tmp_path: Path) -> PreferencesFile:
    return PreferencesFile(tmp_path / "window.json")


@pytest.fixture
def page(told: ToldSession, preferences: PreferencesFile, qtbot: QtBot) -> GeneralPage:
    page = GeneralPage(told, preferences)
    qtbot.addWidget(page)
    return page


def words(page: GeneralPage, name: str) -> str:
    label = page.findChild(QLabel, name)
    assert isinstance(label, QLabel)
    return label.text()


def button(page: GeneralPage, name: str) -> QPushButton:
    found = page.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    return found


def box(page: GeneralPage, name: str) -> QCheckBox:
    found = page.findChild(QCheckBox, name)
    assert isinstance(found, QCheckBox)
    return found


def question(page: GeneralPage) -> QMessageBox:
    found = page.findChildren(QMessageBox, "stop-question")
    assert found
    return found[-1]


def answer(page: GeneralPage, name: str) -> None:
    asked = question(page)
    found = {each.objectName() or each.text(): each for each in asked.buttons()}
    found[name if name in found else "Cancel"].click()


def test_it_says_what_was_counted(page: GeneralPage, told: ToldSession) -> None:
    status = status_of(
        uptime_s=3720.0,
        ports=PortCounts(active=3, conflict=1, ignored=2),
        flows=FlowCounts(4, 5),
        bytes=ByteCounts(2048, 0),
    )
    told.tell(Link.READY, status)
    assert words(page, "general-uptime") == "1 h 2 min"
    assert words(page, "general-ports") == "3 open, 1 in conflict, 2 ignored"
    assert words(page, "general-flows") == "4 TCP, 5 UDP"
    assert words(page, "general-bytes").startswith("2.0 kB to")
    assert words(page, "general-version") == "0.1.0"
    told.tell(Link.READY, status_of())
    assert words(page, "general-ports") == "none"


def test_nothing_is_said_of_a_daemon_that_has_gone(page: GeneralPage, told: ToldSession) -> None:
    told.tell(Link.READY, status_of())
    told.tell(Link.ABSENT, status_of())
    counts = page.findChild(QWidget, "counts")
    assert isinstance(counts, QWidget)
    assert counts.isHidden()
    assert words(page, "daemon-state") == "Samehost is not running."


@pytest.mark.parametrize(
    ("link", "start", "stop"),
    [
        (Link.ABSENT, True, None),
        (Link.STARTING, False, None),
        (Link.CONNECTING, None, False),
        (Link.READY, None, True),
        (Link.HUNG, None, False),
        (Link.FOREIGN, None, False),
        (Link.REFUSED, None, False),
    ],
)
def test_it_offers_to_start_or_to_stop(
    page: GeneralPage, told: ToldSession, link: Link, start: bool | None, stop: bool | None
) -> None:
    """None: the button is not to be seen."""
    told.tell(link, status_of())
    for name, expected in (("start-daemon", start), ("stop-daemon", stop)):
        found = button(page, name)
        assert (None if found.isHidden() else found.isEnabled()) == expected


def test_the_daemon_is_started(page: GeneralPage, told: ToldSession) -> None:
    told.tell(Link.ABSENT)
    button(page, "start-daemon").click()
    assert told.starts == 1
    told.tell(Link.STARTING)
    told.startTold.emit("starting the Docker Engine")
    assert words(page, "daemon-state") == "starting the Docker Engine"


def test_it_asks_before_it_stops_and_says_what_that_closes(
    page: GeneralPage, told: ToldSession
) -> None:
    told.tell(Link.READY, status_of(ports=PortCounts(active=3), flows=FlowCounts(1, 1)))
    button(page, "stop-daemon").click()
    assert question(page).informativeText().startswith("3 open port")
    assert "2 connection" in question(page).informativeText()
    answer(page, "no")
    assert told.asked == []
    button(page, "stop-daemon").click()
    answer(page, "stop")
    assert [each.method for each in told.asked] == ["shutdown"]
    assert not button(page, "stop-daemon").isEnabled()


def test_it_asks_once_at_a_time(page: GeneralPage, told: ToldSession) -> None:
    told.tell(Link.READY, status_of())
    button(page, "stop-daemon").click()
    page.ask_to_stop()
    assert len(page.findChildren(QMessageBox)) == 1


def test_what_the_daemon_says_on_its_way_out_is_shown(page: GeneralPage, told: ToldSession) -> None:
    told.tell(Link.READY, status_of())
    button(page, "stop-daemon").click()
    answer(page, "stop")
    progress = told.asked[0].progress
    assert progress is not None
    progress("closing every mirror")
    assert words(page, "daemon-state") == "closing every mirror"
    told.asked[0].fails(Problem("the sandbox stays", "samehost down", "FAILED"))
    assert words(page, "daemon-state") == "the sandbox stays\nsamehost down"
    assert button(page, "stop-daemon").isEnabled()
    told.tell(Link.READY, status_of())
    assert words(page, "daemon-state") == "the sandbox stays\nsamehost down"


def test_the_windows_wishes_are_kept(page: GeneralPage, preferences: PreferencesFile) -> None:
    assert box(page, "notifications").isChecked()
    assert box(page, "close-to-tray").isChecked()
    assert box(page, "start-with-window").isChecked()
    for name in ("notifications", "close-to-tray", "start-with-window"):
        box(page, name).click()
    now = preferences.now
    assert (now.notifications, now.close_to_tray, now.start_daemon) == (False, False, False)
    preferences.change(notifications=True)
    assert box(page, "notifications").isChecked()


def test_every_control_has_a_name_and_a_description(page: GeneralPage) -> None:
    controls = [*page.findChildren(QPushButton), *page.findChildren(QCheckBox)]
    assert len(controls) == 5
    for control in controls:
        assert "&" in control.text()
        assert control.accessibleDescription()


def test_a_daemon_stops_for_good(
    qtbot: QtBot, served: ServedBackend, session: Session, preferences: PreferencesFile
) -> None:
    page = GeneralPage(session, preferences)
    qtbot.addWidget(page)
    assert words(page, "general-ports").startswith("11 open")
    button(page, "stop-daemon").click()
    answer(page, "stop")
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    served.join()
    assert served.backend.calls[-1] == "shutdown"
    assert not button(page, "start-daemon").isHidden()
