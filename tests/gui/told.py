"""A session that knows what a test tells it, and never looks for a daemon.

For looks that a daemon has only in trouble. Whatever is asked of it is noted, and answered by the
test. Counterpart: `gui.session.Session`, whose signals and attributes it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from desktop.api.types import (
    MachineStatus,
    PortDelta,
    PortRow,
    Status,
    row_key,
)
from gui.session import Call, Link, Problem, Question, RowKey, Session, Starter
from tests.gui.machine.words_of import status

__all__ = ["Asked", "ToldSession", "machine_status", "status_of"]


def machine_status(
    state: str = "connected", name: str = "colima", kind: str = "colima"
) -> MachineStatus:
    """A machine in that state."""
    return MachineStatus(name, kind, state, "6.1", "0.1.0", "unix", "eBPF")


def status_of(state: str = "connected", *others: str, **changes: object) -> Status:
    """All is well, but for the machines' states and what is changed."""
    usual = status(*(machine_status(each) for each in (state, *others)))
    return msgspec.structs.replace(usual, **changes)


@dataclass
class Asked:
    """What was asked of the daemon; a test calls `then` or `fails`."""

    method: str
    params: Mapping[str, object]
    then: Callable[[Any], None]
    fails: Callable[[Problem], None]
    progress: Callable[[str], None] | None = None


class ToldSession(Session):
    """See the module. `starts` counts what was asked of `start_daemon`.

    `attaches` says whether a machine is being attached.
    """

    def __init__(self) -> None:
        super().__init__("/nowhere/api.sock", Starter(["false"]))
        self.asked: list[Asked] = []
        self.opened = self.starts = self.refreshed = 0
        self.told_rows: dict[RowKey, PortRow] = {}
        self.watching: list[bool] = []
        self.attaches = False

    @property
    def rows(self) -> Mapping[RowKey, PortRow]:
        """What the test said."""
        return self.told_rows

    @property
    def is_attaching(self) -> bool:
        """What the test said."""
        return self.attaches

    def tell(
        self, link: Link, status: Status | None = None, problem: Problem | None = None
    ) -> None:
        """Let things stand so."""
        self.link, self.status, self.problem = link, status, problem
        self.linkChanged.emit()
        self.statusChanged.emit()

    def reset_rows(self, rows: Iterable[PortRow]) -> None:
        """Let there be another table."""
        self.told_rows = {row_key(row): row for row in rows}
        self.portsReset.emit()

    def change_rows(self, came: Iterable[PortRow], went: Iterable[PortRow] = ()) -> None:
        """Let rows come or change, and go."""
        came, went = list(came), list(went)
        for row in went:
            del self.told_rows[row_key(row)]
        self.told_rows |= {row_key(row): row for row in came}
        self.portsChanged.emit(PortDelta(1, came, [], went))

    def open(self) -> None:
        """Count it."""
        self.opened += 1

    def start_daemon(self) -> None:
        """Count it."""
        self.starts += 1

    def refresh(self) -> None:
        """Count it."""
        self.refreshed += 1

    def set_watching(self, watching: bool) -> None:
        """Note it."""
        self.watching.append(watching)

    def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        then: Callable[[Any], None],
        fails: Callable[[Problem], None],
        progress: Callable[[str], None] | None = None,
        ask: Callable[[Question], None] | None = None,
    ) -> Call:
        """Note it."""
        del ask
        self.asked.append(Asked(method, params or {}, then, fails, progress))
        return _NoCall()


class _NoCall(Call):
    """A call of nobody."""

    def __init__(self) -> None:
        """Nothing is under way."""

    def cancel(self) -> None:
        """Nothing to give up."""
