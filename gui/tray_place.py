"""Whether this desktop shows icons in a tray, now: panels come late, and go.

Rules: on Linux Qt looks for WATCHER when it is first asked, and never again
(github.com/evilsocket/opensnitch/issues/1659), while panels come up after what starts with the
session. So the bus is watched here, and Qt asked when the watcher is there. X11's older trays,
which Qt knows too, are asked for after PATIENCE_MS without one. Counterparts: `app.py`, `tray.py`.
"""

from __future__ import annotations

import sys
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QSystemTrayIcon

__all__ = ["TrayPlace"]

WATCHER: Final = "org.kde.StatusNotifierWatcher"
"""The bus name of whoever shows icons on a Linux desktop (freedesktop.org, StatusNotifierItem)."""

PATIENCE_MS: Final = 5000
"""How long after the start of a session a tray may take to come, before Qt is asked for others."""


class TrayPlace(QObject):
    """See the module. `look` first; then `is_there` is kept true.

    Signals:
        changed: `is_there` is known for the first time, or another.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_there = False
        self.is_settled = False
        self._bus_watcher: QDBusServiceWatcher | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._out_of_patience)

    def look(self) -> None:
        """Begin to look. `changed` follows, perhaps at once."""
        bus = QDBusConnection.sessionBus() if _has_bus() else None
        if bus is None or not bus.isConnected():
            self._ask_qt()
            return
        self._bus_watcher = QDBusServiceWatcher(WATCHER, bus, parent=self)
        self._bus_watcher.serviceRegistered.connect(self._ask_qt)
        self._bus_watcher.serviceUnregistered.connect(self._gone)
        if bus.interface().isServiceRegistered(WATCHER).value():
            self._ask_qt()
        else:
            self._patience.start()

    def _ask_qt(self) -> None:
        self._patience.stop()
        self._settle(QSystemTrayIcon.isSystemTrayAvailable())

    def _gone(self) -> None:
        self._settle(False)

    def _out_of_patience(self) -> None:
        if QGuiApplication.platformName() == "xcb":
            self._ask_qt()
        else:
            self._settle(False)

    def _settle(self, is_there: bool) -> None:
        is_new = not self.is_settled or is_there != self.is_there
        self.is_settled = True
        self.is_there = is_there
        if is_new:
            self.changed.emit()


def _has_bus() -> bool:
    """This is a desktop whose trays are on a bus, and a screen that such a tray is on."""
    return sys.platform.startswith("linux") and QGuiApplication.platformName() != "offscreen"
