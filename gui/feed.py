"""The port table, followed: a connection of its own for its changes, told a few at a time.

    subscribe ─▶ snapshot ─▶ changes ─▶ gathered for COALESCE_SECONDS ─▶ `changed`

Rules: `table` is what the signals have told so far. A gap in the revisions, or a subscription that
ends, is followed by another one; what had changed meanwhile is told as changes. Only after `lost`
is the next table told by `reset`. Closing its connection is how a subscription is ended.
Counterparts: `session.py` owns it, `deltas.py` does the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from desktop.api.types import ContainerDetails, PortDelta, PortRow
from gui.connection import Connection, Ending, Request
from gui.deltas import Gathering, Table, difference
from gui.wire import Problem

__all__ = ["Feed"]

COALESCE_SECONDS: Final = 0.1
"""Least time between two `changed`."""

FIRST_RETRY_SECONDS: Final = 0.2
LAST_RETRY_SECONDS: Final = 2.0


class _Snapshot(msgspec.Struct):
    """The result of `ports` and `subscribe`, asked for with `wide`."""

    revision: int
    ports: list[PortRow]
    containers: list[ContainerDetails] = []


class Feed(QObject):
    """See the module.

    Signals:
        reset: `table` is another one.
        changed: what changed in `table`, a `PortDelta`.
        settled: `is_known` or `problem` is another.

    Attributes:
        table: the rows and containers.
        is_known: there has been a snapshot since the daemon was found.
        problem: why the last try to subscribe failed, None if it did not.
        is_foreign: what it got was nonsense.
    """

    reset = Signal()
    changed = Signal(object)
    settled = Signal()

    def __init__(self, connect: Callable[[], Connection], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = Table()
        self.is_known = False
        self.problem: Problem | None = None
        self.is_foreign = False
        self._connect = connect
        self._connection: Connection | None = None
        self._revision = 0
        self._gathering = Gathering()
        self._delay = FIRST_RETRY_SECONDS
        self._pause = QTimer(self, singleShot=True, interval=round(COALESCE_SECONDS * 1000))
        self._pause.timeout.connect(self._tell_soon)
        self._retry = QTimer(self, singleShot=True)
        self._retry.timeout.connect(self.begin)

    def begin(self) -> None:
        """Follow the table from now on."""
        self._unsubscribe()
        connection = self._connection = self._connect()
        connection.ended.connect(self._ended)
        connection.call(
            Request(
                "subscribe",
                {"wide": True},
                then=self._subscribed,
                fails=self._failed,
                changed=self._told,
            )
        )
        connection.open()

    def stop(self) -> None:
        """Follow it no longer; `table` stays as it is."""
        self._unsubscribe()
        self.problem, self.is_foreign = None, False

    def lost(self) -> None:
        """The daemon has gone: the next snapshot is of another one."""
        self.stop()
        self.is_known = False

    def close(self) -> None:
        """Tell nothing any more."""
        self.lost()
        self._pause.stop()
        self._gathering = Gathering()

    def clear(self) -> None:
        """Nothing is known any more."""
        self.close()
        if self.table.rows:
            self.table = Table()
            self.reset.emit()

    def look(self, result: Any) -> None:
        """The result of `ports`: how it is now, if it is not followed. Raises ValidationError."""
        if self._connection is None and not self._retry.isActive():
            self._take(msgspec.convert(result, _Snapshot))

    # What the daemon says

    def _subscribed(self, result: Any) -> None:
        try:
            snapshot = msgspec.convert(result, _Snapshot)
        except msgspec.ValidationError as error:
            self._nonsense(error)
            return
        self._delay = FIRST_RETRY_SECONDS
        self.problem, self.is_foreign = None, False
        self._take(snapshot)

    def _told(self, event: dict[str, Any]) -> None:
        try:
            delta = msgspec.convert(event, PortDelta)
        except msgspec.ValidationError as error:
            self._nonsense(error)
            return
        if delta.revision != self._revision + 1:
            self._again()
            return
        self._revision = delta.revision
        self._gathering.add(delta)
        self._tell_soon()

    def _nonsense(self, error: msgspec.ValidationError) -> None:
        if self._connection is not None:
            self._connection.nonsense(str(error))

    def _failed(self, problem: Problem) -> None:
        self.problem = problem
        self._again()

    def _ended(self) -> None:
        if self._connection is None:
            return  # it was told already
        self.is_foreign = self._connection.ending is Ending.FOREIGN
        if self.is_foreign:
            self.problem = self._connection.problem
        self._again()

    def _again(self) -> None:
        """Subscribe anew, after a moment that grows."""
        self._unsubscribe()
        self._retry.start(round(self._delay * 1000))
        self._delay = min(self._delay * 2, LAST_RETRY_SECONDS)
        self.settled.emit()

    def _unsubscribe(self) -> None:
        self._retry.stop()
        if self._connection is not None:
            self._connection.close()
            self._connection.deleteLater()
            self._connection = None

    # What we tell

    def _take(self, snapshot: _Snapshot) -> None:
        table = Table(snapshot.revision, snapshot.ports, snapshot.containers)
        self._revision = snapshot.revision
        self._gathering = Gathering()
        if self.is_known:
            delta = difference(self.table, table)
            if delta.added or delta.changed or delta.removed:
                self._gathering.add(delta)
                self._tell_soon()
        else:
            self.is_known = True
            self.table = table
            self.reset.emit()
        self.settled.emit()

    def _tell_soon(self) -> None:
        """Tell what was gathered, at once or when the last time is long enough ago."""
        if self._gathering and not self._pause.isActive():
            delta = self._gathering.take()
            self.table.apply(delta)
            self._pause.start()
            self.changed.emit(delta)
