"""What the window remembers for itself: its page, its place, and what it may do unasked.

Rules: a JSON file beside the daemon's settings, never the system's registry; of another shape or
unreadable it counts as not there, key by key. Where it cannot be written the window works all the
same. The place is checked against the screens that there are now: a window is never out of sight.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from PySide6.QtCore import QObject, QRect, QSize, Signal

__all__ = ["Preferences", "PreferencesFile", "placed", "room_on"]

HANDLE: Final = 48
"""Pixels of the upper edge that must be on a screen, each way: enough to drag the window by."""

FRAME: Final = QSize(16, 48)
"""Pixels that edges and title bar take beside a window: nobody knows before it is shown."""

LARGEST_FILE: Final = 1 << 16

_FARTHEST: Final = 1 << 20

Pixels = Annotated[int, msgspec.Meta(ge=-_FARTHEST, le=_FARTHEST)]
"""What Qt can reckon with."""

log = logging.getLogger(__name__)


class Preferences(msgspec.Struct, frozen=True):
    """See the module. `place` is left, top, width and height; empty: the system chooses.

    `columns` is what the person made of the table of ports.
    """

    page: str = "network"
    place: tuple[Pixels, ...] = ()
    maximised: bool = False
    notifications: bool = True
    close_to_tray: bool = True
    start_daemon: bool = True
    told_about_tray: bool = False
    columns: bytes = b""


class PreferencesFile(QObject):
    """The preferences, and the file that keeps them.

    Attributes:
        now: what they are.
    """

    changed = Signal()

    def __init__(self, path: str | Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = Path(path)
        self.now = _read(self._path)

    def change(self, **values: object) -> None:
        """Set some of them, and keep them if that changes any."""
        new = msgspec.structs.replace(self.now, **values)
        if new != self.now:
            self.now = new
            self._write()
            self.changed.emit()

    def _write(self) -> None:
        """All or nothing: the file is replaced by a new one."""
        new = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.format(msgspec.json.encode(self.now), indent=2) + b"\n")
            os.replace(new, self._path)
        except OSError as error:
            log.warning("the window's preferences are not kept: %s", error)


def _read(path: Path) -> Preferences:
    try:
        with path.open("rb") as file:
            values: Any = json.loads(file.read(LARGEST_FILE))
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError, RecursionError) as error:
        log.warning("the window's preferences in %s are not used: %s", path, error)
        return Preferences()
    found = Preferences()
    for key in Preferences.__struct_fields__ if isinstance(values, dict) else ():
        try:
            known = msgspec.convert({key: values[key]}, Preferences)
        except (KeyError, msgspec.ValidationError):
            continue  # not there, or of another version: the default
        found = msgspec.structs.replace(found, **{key: getattr(known, key)})
    return found


def room_on(screen: QRect) -> QSize:
    """How large a window may be that is seen as a whole there."""
    return screen.size() - FRAME


def placed(place: Sequence[int], screens: Sequence[QRect], least: QSize) -> QRect | None:
    """Where a window goes that was at `place`, on the screens that there are; None: anywhere.

    It stays where it was if its upper edge can be got hold of there; else it goes to the middle of
    the first screen. It never is larger than its screen has room for; nor smaller than `least`,
    if there is room for that.
    """
    if len(place) != 4 or not screens:
        return None
    wanted = QRect(*place)
    whole = wanted.size().expandedTo(least)
    edge = QRect(wanted.left(), wanted.top(), wanted.width(), HANDLE)
    seen = [edge.intersected(screen) for screen in screens]
    best = max(range(len(screens)), key=lambda number: seen[number].width())
    is_in_reach = seen[best].width() >= HANDLE and seen[best].height() >= HANDLE // 2
    screen = screens[best if is_in_reach else 0]
    size = whole.boundedTo(room_on(screen))
    rectangle = QRect(wanted.topLeft(), size)
    if not is_in_reach:
        rectangle.moveCenter(screen.center())
    if size.width() < whole.width():
        rectangle.moveLeft(screen.left())
    if size.height() < whole.height():
        rectangle.moveTop(screen.top())
    return rectangle
