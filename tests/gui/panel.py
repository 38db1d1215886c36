"""A panel that takes icons, on a message bus of its own: the trays of newer desktops.

    dbus-daemon ◀─ Panel (org.kde.StatusNotifierWatcher) ◀─ the window's icon registers there
                └─ `activate`, `status`: as a panel asks the icon when it is clicked or drawn

Rules: calls are answered while Qt's events are handled (`qtbot.waitUntil`).

Limits: no menu is shown; its place is in `org.kde.StatusNotifierItem`'s property Menu.
Counterparts: `tests/message_bus.py`, `test_panel.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from PySide6.QtCore import ClassInfo, Property, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusInterface

__all__ = ["Panel", "panel"]

WATCHER: Final = "org.kde.StatusNotifierWatcher"
ITEM: Final = "org.kde.StatusNotifierItem"


@ClassInfo({"D-Bus Interface": WATCHER})  # type: ignore[call-arg]
class Panel(QObject):  # type: ignore[operator]
    """What the bus offers; `items` are the bus names of the icons."""

    StatusNotifierItemRegistered = Signal(str)

    def __init__(self, connection: QDBusConnection) -> None:
        super().__init__()
        self.items: list[str] = []
        self._connection = connection

    @Slot(str)
    def RegisterStatusNotifierItem(self, name: str) -> None:  # noqa: N802 - the interface's name
        """An icon is there."""
        self.items.append(name)
        self.StatusNotifierItemRegistered.emit(name)

    @Slot(str)
    def RegisterStatusNotifierHost(self, _name: str) -> None:  # noqa: N802 - the interface's name
        """Somebody shows icons: we do."""

    @Property(bool)
    def IsStatusNotifierHostRegistered(self) -> bool:  # noqa: N802 - the interface's name
        """Icons are shown."""
        return True

    def property_of(self, name: str) -> Any:
        """What the newest icon says of itself."""
        return self._icon().property(name)

    def activate(self) -> None:
        """Click the newest icon."""
        self._icon().call("Activate", 0, 0)

    def _icon(self) -> QDBusInterface:
        return QDBusInterface(self.items[-1], "/StatusNotifierItem", ITEM, self._connection)


@contextlib.contextmanager
def panel(address: str) -> Iterator[Panel]:
    """A panel on that bus, until the block ends."""
    name = f"panel-{id(address)}"
    connection = QDBusConnection.connectToBus(address, name)
    shown = Panel(connection)
    try:
        contents = QDBusConnection.RegisterOption.ExportAllContents
        assert connection.registerObject("/StatusNotifierWatcher", shown, contents)
        assert connection.registerService(WATCHER)
        yield shown
    finally:
        connection.unregisterService(WATCHER)
        QDBusConnection.disconnectFromBus(name)
        shown.deleteLater()
