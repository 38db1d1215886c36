"""The tray: what its icon says, what its menu does, and where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QAction, QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QSystemTrayIcon
from pytestqt.qtbot import QtBot

from desktop.api.types import PortCounts
from gui.session import Link, Problem, Session
from gui.tray import Tray, look_of
from tests.gui.stage import realistic_rows
from tests.gui.told import ToldSession, machine_status, status_of
from tests.served_backend import ServedBackend

pytestmark = [
    pytest.mark.usefixtures("qapp"),
    # Qt's trays are for screens, and say so of a platform that has none.
    pytest.mark.qt_log_ignore("systemTrayWindowChanged", extend=True),
]


@pytest.fixture
def tray(told: ToldSession) -> Iterator[Tray]:
    tray = Tray(told)
    yield tray
    tray.close()


def action(tray: Tray, name: str) -> QAction:
    found = tray.menu.findChild(QAction, name)
    assert isinstance(found, QAction)
    return found


def ports_shown(tray: Tray) -> list[str]:
    actions = [action(tray, f"tray-port-{index}") for index in range(5)]
    return [each.text() for each in actions if each.isVisible()]


LOOKS = {
    "absent": (Link.ABSENT, None, "tray-off", "not running"),
    "starting": (Link.STARTING, None, "tray-off", "starting"),
    "connecting": (Link.CONNECTING, None, "tray-off", "Connecting"),
    "nothing known yet": (Link.READY, None, "tray-off", "Connecting"),
    "hung": (Link.HUNG, status_of(), "tray-problem", "does not answer"),
    "foreign": (Link.FOREIGN, None, "tray-problem", "Another version"),
    "refused": (Link.REFUSED, None, "tray-problem", "not yours"),
    "off": (Link.READY, status_of(enabled=False), "tray-off", "is off"),
    "on": (Link.READY, status_of(ports=PortCounts(active=3)), "tray-on", "is on: 3 "),
    "a conflict": (
        Link.READY,
        status_of(ports=PortCounts(conflict=1)),
        "tray-problem",
        "but 1 port",
    ),
    "denied": (Link.READY, status_of(ports=PortCounts(denied=2)), "tray-problem", "but 2 port"),
    "something is short": (
        Link.READY,
        status_of(troubles=["the disk of /home is full; make room"]),
        "tray-problem",
        "run short",
    ),
    "machine failed": (Link.READY, status_of("failed"), "tray-problem", "colima cannot"),
    "machine gone": (Link.READY, status_of("reconnecting"), "tray-problem", "colima cannot"),
    "no machine": (Link.READY, status_of("stopped"), "tray-off", "no machine"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_the_icon_tells_on_off_or_a_problem_and_why(name: str) -> None:
    link, status, icon, words = LOOKS[name]
    look = look_of(link, status)
    assert look[0] == icon
    assert words in look[1]


def test_the_switch_switches(tray: Tray, told: ToldSession) -> None:
    told.tell(Link.READY, status_of())
    switch = action(tray, "tray-switch")
    assert (switch.isChecked(), switch.isEnabled()) == (True, True)
    switch.trigger()
    assert [(each.method, each.params) for each in told.asked] == [
        ("set_enabled", {"enabled": False})
    ]


def test_a_switch_that_does_not_switch_shows_what_is_in_force(
    tray: Tray, told: ToldSession
) -> None:
    told.tell(Link.READY, status_of())
    action(tray, "tray-switch").trigger()
    assert not action(tray, "tray-switch").isChecked()
    told.asked[0].fails(Problem("locked", "ask", "PERMISSION"))
    assert action(tray, "tray-switch").isChecked()


def test_a_locked_switch_is_disabled_and_says_why(tray: Tray, told: ToldSession) -> None:
    locked = status_of(enabled=False, enabled_locked=True, enabled_reason="locked by R&D")
    told.tell(Link.READY, locked)
    assert not action(tray, "tray-switch").isEnabled()
    assert action(tray, "tray-reason").isVisible()
    assert action(tray, "tray-reason").text() == "locked by R&&D"
    told.tell(Link.READY, status_of())
    assert not action(tray, "tray-reason").isVisible()


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.READY])
def test_without_a_daemon_there_is_nothing_to_switch(
    tray: Tray, told: ToldSession, link: Link
) -> None:
    told.tell(link, status_of())
    switch = action(tray, "tray-switch")
    assert (switch.isEnabled(), switch.isChecked()) == (False, False)
    assert action(tray, "tray-start").isVisible() == (link is Link.ABSENT)


def test_a_daemon_can_be_started_from_the_menu(tray: Tray, told: ToldSession) -> None:
    told.tell(Link.ABSENT)
    action(tray, "tray-start").trigger()
    assert told.starts == 1


def test_the_menu_shows_the_busiest_ports_as_they_are_when_it_opens(
    tray: Tray, told: ToldSession
) -> None:
    told.tell(Link.READY, status_of())
    tray.menu.aboutToShow.emit()
    assert ports_shown(tray) == []
    assert action(tray, "tray-no-ports").isVisible()
    told.reset_rows(realistic_rows())
    tray.menu.aboutToShow.emit()
    assert len(ports_shown(tray)) == 5
    assert ports_shown(tray)[0].startswith("TCP localhost:8000  ·  shop-web-1  ·  12 ")
    assert not action(tray, "tray-no-ports").isVisible()
    assert [each.method for each in told.asked] == ["ports"]


def test_a_port_in_the_menu_copies_its_address(tray: Tray, told: ToldSession) -> None:
    told.tell(Link.READY, status_of())
    told.reset_rows(realistic_rows())
    tray.menu.aboutToShow.emit()
    action(tray, "tray-port-0").trigger()
    assert QGuiApplication.clipboard().text() == "localhost:8000"


def test_a_hidden_window_has_the_daemon_asked_for_the_ports(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    tray = Tray(session)
    session.set_watching(False)
    served.do(lambda: served.backend.change([], realistic_rows()[:1]))
    tray.menu.aboutToShow.emit()
    qtbot.waitUntil(lambda: tray._asking is None)
    assert not any("localhost:8000 " in text for text in ports_shown(tray))
    tray.close()


def test_open_and_quit_ask_for_just_that(qtbot: QtBot, tray: Tray) -> None:
    with qtbot.waitSignal(tray.opened):
        action(tray, "tray-open").trigger()
    with qtbot.waitSignal(tray.quitted):
        action(tray, "tray-quit").trigger()


def test_the_icon_is_shown_and_taken_away(tray: Tray, told: ToldSession) -> None:
    told.tell(Link.READY, status_of(ports=PortCounts(active=1)))
    tray.show()
    tray.show()
    icon = tray.findChild(QSystemTrayIcon)
    assert isinstance(icon, QSystemTrayIcon)
    assert "Host networking is on" in icon.toolTip()
    assert not icon.icon().isNull()
    tray.hide()
    assert not tray.is_visible


def test_the_icon_is_drawn_anew_when_things_or_the_palette_change(
    tray: Tray, told: ToldSession
) -> None:
    tray.show()
    icon = tray.findChild(QSystemTrayIcon)
    assert isinstance(icon, QSystemTrayIcon)
    keys = [icon.icon().cacheKey()]
    for status in (status_of(), status_of("failed")):
        told.tell(Link.READY, status)
        keys.append(icon.icon().cacheKey())
    assert len(set(keys)) == 3
    assert "colima cannot be reached" in icon.toolTip()
    tray.menu.setPalette(QPalette(QColor("#303033")))
    assert icon.icon().cacheKey() != keys[-1]


def test_words_of_strangers_are_only_words(
    tray: Tray, told: ToldSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(
        QSystemTrayIcon, "showMessage", lambda _, title, text, *__: messages.extend([title, text])
    )
    tray.show()
    evil = machine_status("failed", name="<b>box</b>")
    told.tell(Link.READY, status_of(machine=evil, machines=[evil]))
    tray.tell("<a href='x'>t</a>", "<img src='y'>")
    icon = tray.findChild(QSystemTrayIcon)
    assert isinstance(icon, QSystemTrayIcon)
    for text in (*messages, icon.toolTip()):
        assert "<" not in text
    assert len(messages) == 2


@pytest.mark.parametrize(("platform", "opens"), [("linux", True), ("darwin", False)])
def test_a_click_on_the_icon_opens_the_window_where_it_opens_no_menu(
    told: ToldSession, platform: str, opens: bool
) -> None:
    tray = Tray(told, platform=platform)
    opened: list[str] = []
    tray.opened.connect(opened.append)
    tray.show()
    icon = tray.findChild(QSystemTrayIcon)
    assert isinstance(icon, QSystemTrayIcon)
    icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
    icon.activated.emit(QSystemTrayIcon.ActivationReason.Context)
    assert opened == [""] * opens
    tray.close()


def test_macos_draws_the_icon_in_the_colour_of_its_menu_bar(told: ToldSession) -> None:
    tray = Tray(told, platform="darwin")
    tray.show()
    icon = tray.findChild(QSystemTrayIcon)
    assert isinstance(icon, QSystemTrayIcon)
    assert icon.icon().isMask()
    tray.close()
