"""Which troubles of ports are worth a notification, and in which words: one for each, none twice.

    rows ─▶ Notices.see ─▶ Notices.take ─▶ Notice(title, text)
    Notifier: the same with the session before it and the tray behind it

Rules: a trouble is a row with a reason: told once, however often it is tried again, and however
often the daemon is lost and found. Healed, it may be told again after a while. Many at once are one
notification, and there are some seconds between two. `Notices` is pure: time is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from PySide6.QtCore import QCoreApplication, QObject, QTimer

from desktop.api.types import PortDelta, PortRow, row_key
from gui.parts import plain
from gui.ports.addresses import own_port, owner_of
from gui.session import RowKey, Session

__all__ = ["Notice", "Notices", "Notifier"]

TROUBLES: Final = frozenset({"conflict", "denied"})

FORGET_SECONDS: Final = 60.0
"""How long a trouble must have been healed to be told again: one that comes and goes is one."""

GATHER_SECONDS: Final = 0.5
"""What comes within this time is told together."""

BETWEEN_SECONDS: Final = 10.0
"""Between two notifications."""

NAMED: Final = 4
"""Ports named in one notification."""

translate = QCoreApplication.translate


class Notice(NamedTuple):
    """What a notification says."""

    title: str
    text: str


class Notices:
    """See the module. What was told, when it healed, and what is to be told."""

    def __init__(self) -> None:
        self._told: dict[RowKey, str] = {}
        self._healed: dict[RowKey, float] = {}
        self._due: dict[RowKey, PortRow] = {}

    def see(self, rows: Iterable[PortRow], now: float) -> bool:
        """Look at rows that came or changed. True if there is something to tell."""
        for row in rows:
            if row.state in TROUBLES:
                self._troubled(row_key(row), row, now)
            elif self._due or self._told:
                self._well(row_key(row), now)
        self._forget(now)
        return bool(self._due)

    def gone(self, rows: Iterable[PortRow], now: float) -> None:
        """Look at rows that have gone: closed by whoever had them."""
        for row in rows:
            self._well(row_key(row), now)
        self._forget(now)

    def take(self) -> Notice | None:
        """What is to be told now; it counts as told."""
        due, self._due = list(self._due.values()), {}
        self._told |= {row_key(row): row.reason for row in due}
        if not due:
            return None
        return _single(due[0]) if len(due) == 1 else _summary(due)

    def _troubled(self, key: RowKey, row: PortRow, now: float) -> None:
        healed = self._healed.pop(key, None)
        if healed is not None and now - healed >= FORGET_SECONDS:
            self._told.pop(key, None)
        if self._told.get(key) != row.reason:
            self._due[key] = row

    def _well(self, key: RowKey, now: float) -> None:
        self._due.pop(key, None)
        if key in self._told:
            self._healed.setdefault(key, now)

    def _forget(self, now: float) -> None:
        """Ports come and go without end; what is known of them does not grow so."""
        old = [key for key, healed in self._healed.items() if now - healed >= FORGET_SECONDS]
        for key in old:
            del self._healed[key]
            self._told.pop(key, None)


def _single(row: PortRow) -> Notice:
    where = _port(row)
    if row.state == "denied":
        title = translate("notices", "{port} may not be opened")
    else:
        title = translate("notices", "{port} is in use already")
    return Notice(title.format(port=where), plain(row.reason))


def _summary(rows: list[PortRow]) -> Notice:
    count = len(rows)
    title = translate("notices", "%n port(s) cannot be opened", "", count)
    names = [_port(row) for row in rows[:NAMED]]
    more = count - len(names)
    if more:
        names.append(translate("notices", "and %n more", "", more))
    return Notice(title, "\n".join(names))


def _port(row: PortRow) -> str:
    """The real listener's port, and whose it is: untrusted words."""
    port, owner = own_port(row), owner_of(row)
    words = (
        translate("notices", "{protocol} port {port} of {owner}")
        if owner
        else translate("notices", "{protocol} port {port}")
    )
    return words.format(protocol=row.protocol.upper(), port=port, owner=plain(owner))


class Notifier(QObject):
    """Sees every change of the session's rows, and has `show` tell what is worth it."""

    def __init__(
        self,
        session: Session,
        show: Callable[[Notice], None],
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._show = show
        self._clock = clock
        self._notices = Notices()
        self._last: float | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tell)
        session.portsReset.connect(self._reset)
        session.portsChanged.connect(self._changed)
        self._reset()

    def _reset(self) -> None:
        """Another table. What is not in it any more has not healed: the daemon may be lost."""
        self._see(self._session.rows.values())

    def _changed(self, delta: PortDelta) -> None:
        self._notices.gone(delta.removed, self._clock())
        self._see([*delta.added, *delta.changed])

    def _see(self, rows: Iterable[PortRow]) -> None:
        if self._notices.see(rows, self._clock()) and not self._timer.isActive():
            self._timer.start(round(self._wait() * 1000))

    def _wait(self) -> float:
        if self._last is None:
            return GATHER_SECONDS
        return max(GATHER_SECONDS, BETWEEN_SECONDS - (self._clock() - self._last))

    def _tell(self) -> None:
        notice = self._notices.take()
        if notice is not None:
            self._last = self._clock()
            self._show(notice)
