"""The icon in the tray: state at a glance, the switch, the busiest ports, Open and Quit.

Rules: everything in the menu is in the window too, for many desktops have no tray. Words of
containers in it are only words. Counterparts: `app.py`, `busiest.py`, `tray_place.py`.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import msgspec
from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from desktop.api.types import PortRow, Status
from gui import icons
from gui.busiest import MOST_PORTS, address, busiest, line
from gui.parts import copy_text, plain, without_markup
from gui.session import Call, Link, Problem, Session

__all__ = ["Tray", "look_of"]

translate = QCoreApplication.translate


class _Ports(msgspec.Struct):
    """The result of `ports`."""

    ports: list[PortRow]


def look_of(link: Link, status: Status | None) -> tuple[str, str]:
    """The icon for how things stand, and the words for it."""
    if link is not Link.READY or status is None:
        words = {
            Link.ABSENT: translate("tray", "Samehost is not running"),
            Link.STARTING: translate("tray", "Samehost is starting"),
            Link.HUNG: translate("tray", "Samehost does not answer"),
            Link.FOREIGN: translate("tray", "Another version of Samehost is running"),
            Link.REFUSED: translate("tray", "This Samehost is not yours"),
        }.get(link, translate("tray", "Connecting to Samehost"))
        quiet = (Link.ABSENT, Link.STARTING, Link.CONNECTING, Link.READY)
        return "tray-off" if link in quiet else "tray-problem", words
    if not status.enabled:
        return "tray-off", translate("tray", "Host networking is off")
    machine = status.machine
    if machine.state in ("failed", "reconnecting"):
        gone = translate("tray", "The machine {name} cannot be reached")
        return "tray-problem", gone.format(name=plain(machine.name))
    if machine.state != "connected":
        return "tray-off", translate("tray", "Host networking is on, but no machine is connected")
    if status.troubles:
        short = translate("tray", "Host networking is on, but something has run short")
        return "tray-problem", short
    troubled = status.ports.conflict + status.ports.denied
    if troubled:
        words = translate(
            "tray", "Host networking is on, but %n port(s) cannot be opened", "", troubled
        )
        return "tray-problem", words
    count = status.ports.active
    return "tray-on", translate("tray", "Host networking is on: %n open port(s)", "", count)


class Tray(QObject):
    """The icon. `show` it when there is a place; it keeps itself true.

    Signals:
        opened: the window is wanted; with a page's name, or "".
        quitted: the end is wanted.
    """

    opened = Signal(str)
    quitted = Signal()

    def __init__(
        self, session: Session, parent: QObject | None = None, platform: str = sys.platform
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._platform = platform
        self._icon: QSystemTrayIcon | None = None
        self._look: tuple[str, str] | None = None
        self._asking: Call | None = None
        self._rows: list[PortRow] = []
        self._menu = QMenu()
        self._fill()
        session.linkChanged.connect(self._refresh)
        session.statusChanged.connect(self._refresh)
        self._refresh()

    @property
    def menu(self) -> QMenu:
        """What the icon opens."""
        return self._menu

    @property
    def is_visible(self) -> bool:
        """The icon is there."""
        return self._icon is not None

    def show(self) -> None:
        """Show the icon."""
        if self._icon is not None:
            return
        self._icon = QSystemTrayIcon(self)
        self._icon.setContextMenu(self._menu)
        self._icon.activated.connect(self._activated)
        self._icon.messageClicked.connect(lambda: self.opened.emit("ports"))
        self._look = None
        self._refresh()
        self._icon.show()

    def hide(self) -> None:
        """Take it away."""
        if self._icon is not None:
            self._icon.hide()
            self._icon.deleteLater()
            self._icon = None

    def close(self) -> None:
        """The end: of the menu, too, which has no parent."""
        self.hide()
        self._menu.deleteLater()

    def tell(self, title: str, text: str, is_trouble: bool = False) -> None:
        """Show a notification, if there is an icon to come from."""
        if self._icon is not None:
            kind = QSystemTrayIcon.MessageIcon
            icon = kind.Warning if is_trouble else kind.Information
            self._icon.showMessage(without_markup(title), without_markup(text), icon)

    def _fill(self) -> None:
        menu = self._menu
        menu.aboutToShow.connect(self._about_to_show)
        self._headline = _action(menu, "tray-state", "")
        self._headline.setEnabled(False)
        menu.addSeparator()
        self._start = _action(menu, "tray-start", self.tr("&Start Samehost"))
        self._start.triggered.connect(self._session.start_daemon)
        self._switch = _action(menu, "tray-switch", self.tr("&Enable host networking"))
        self._switch.setCheckable(True)
        self._switch.triggered.connect(self._set_enabled)
        self._reason = _action(menu, "tray-reason", "")
        self._reason.setEnabled(False)
        menu.addSeparator()
        self._ports = [_action(menu, f"tray-port-{index}", "") for index in range(MOST_PORTS)]
        for index, action in enumerate(self._ports):
            action.triggered.connect(lambda _, index=index: self._copy(index))
        self._no_ports = _action(menu, "tray-no-ports", self.tr("No port was used yet"))
        self._no_ports.setEnabled(False)
        menu.addSeparator()
        _action(menu, "tray-open", self.tr("&Open Samehost")).triggered.connect(
            lambda: self.opened.emit("")
        )
        _action(menu, "tray-quit", self.tr("&Quit")).triggered.connect(self.quitted)

    def _about_to_show(self) -> None:
        """Hidden windows do not follow the table: look at what is known, and ask."""
        self._show_ports(list(self._session.rows.values()))
        if self._session.link is Link.READY and self._asking is None:
            self._asking = self._session.call("ports", then=self._answered, fails=self._unanswered)

    def _answered(self, result: Any) -> None:
        self._asking = None
        with contextlib.suppress(msgspec.ValidationError):  # what was known before stays
            self._show_ports(msgspec.convert(result, _Ports).ports)

    def _unanswered(self, _: Problem) -> None:
        """What was known before stays."""
        self._asking = None

    def _show_ports(self, rows: list[PortRow]) -> None:
        self._rows = busiest(rows)
        for index, action in enumerate(self._ports):
            is_used = index < len(self._rows)
            action.setVisible(is_used)
            if is_used:
                # A menu takes & for a mnemonic.
                action.setText(line(self._rows[index]).replace("&", "&&"))
                action.setToolTip(self.tr("Copy the address"))
        is_on = self._session.link is Link.READY and bool(
            self._session.status and self._session.status.enabled
        )
        self._no_ports.setVisible(is_on and not self._rows)

    def _copy(self, index: int) -> None:
        if index < len(self._rows):
            copy_text(address(self._rows[index]))

    def _set_enabled(self, enabled: bool) -> None:
        self._session.call(
            "set_enabled",
            {"enabled": enabled},
            then=lambda _: self._refresh(),
            fails=self._not_set,
        )

    def _not_set(self, problem: Problem) -> None:
        self._refresh()
        self.tell(plain(problem.message), plain(problem.remedy, keep_lines=True), is_trouble=True)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        kind = QSystemTrayIcon.ActivationReason
        # On macOS a click opens the menu.
        if self._platform != "darwin" and reason in (kind.Trigger, kind.DoubleClick):
            self.opened.emit("")

    def _refresh(self) -> None:
        link, status = self._session.link, self._session.status
        known = status if link is Link.READY else None
        self._start.setVisible(link is Link.ABSENT)
        self._switch.setEnabled(known is not None and not known.enabled_locked)
        self._switch.setChecked(known is not None and known.enabled)
        reason = plain(known.enabled_reason) if known is not None else ""
        self._reason.setText(reason.replace("&", "&&"))
        self._reason.setVisible(bool(reason))
        look = look_of(link, status)
        if look != self._look:
            self._look = look
            self._headline.setText(look[1].replace("&", "&&"))
            is_mask = self._platform == "darwin"
            name = look[0] if is_mask else look[0].replace("tray-", "tile-")
            icons.keep(self._menu, name, self._set_icon)
            if self._icon is not None:
                self._icon.setToolTip(without_markup(self.tr("Samehost") + "\n" + look[1]))

    def _set_icon(self, icon: QIcon) -> None:
        """For now, and again when the palette changes."""
        self._headline.setIcon(icon)
        if self._icon is not None:
            drawn = QIcon(icon)
            drawn.setIsMask(self._platform == "darwin")  # drawn in the colour of the menu bar
            self._icon.setIcon(drawn)


def _action(menu: QMenu, name: str, text: str) -> QAction:
    action = menu.addAction(text)
    action.setObjectName(name)
    return action
