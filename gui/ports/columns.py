"""The columns of the port table: what each is called, shows, sorts by and is aligned to.

Rules: no widgets. What a row shows is made when somebody looks, since 5000 rows may come at once;
names come from strangers and go through `plain`. Directions are named as people read them: who
listens, and where it can be reached thanks to Samehost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QLocale

from desktop.api.types import PortRow, row_key
from gui.parts import data_size, plain
from gui.ports.addresses import endpoint, numeric
from gui.ports.rates import NO_RATE, Rate

__all__ = ["ICONS", "NUMBERS", "Column", "Entry", "Words", "badge", "sort_value"]

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
"""Seconds."""

LEAST_RATE: Final = 0.5
"""Bytes a second that round to one."""


class Column(IntEnum):
    """Columns from left to right, as they are at first."""

    HOST = 0
    PROTOCOL = 1
    STATE = 2
    CONTAINER = 3
    PROCESS = 4
    MACHINE = 5
    FLOWS = 6
    INTO = 7
    OUT = 8
    AGE = 9
    DIRECTION = 10
    GUEST = 11


NUMBERS: Final = frozenset({Column.FLOWS, Column.INTO, Column.OUT, Column.AGE})
"""Columns that are aligned to the right."""

ICONS: Final = frozenset({Column.HOST, Column.STATE, Column.DIRECTION})
"""Columns with an icon before the text."""


@dataclass(slots=True, eq=False)
class Entry:
    """A row of the table as the window keeps it.

    Attributes:
        key: what it sorts by now, equal to no other's.
        text: all that the row shows, casefolded; "" until somebody asked for it.
    """

    row: PortRow
    rate: Rate = NO_RATE
    key: tuple[Any, ...] = ()
    is_shown: bool = False
    text: str = ""


def sort_value(column: Column, entry: Entry) -> tuple[Any, ...]:
    """What the entry sorts by in a column; ties are broken, so no two rows have the same."""
    row = entry.row
    return (_SORT[column](entry), row.host_port, row.protocol, row_key(row))


def _name_key(name: str | None) -> tuple[bool, str]:
    """Without regard to case, what has no name last."""
    return (not name, (name or "").casefold())


def _container(row: PortRow) -> str:
    return row.container.name or row.container.id[:12] if row.container else ""


_STATES: Final = ("conflict", "denied", "pending", "paused", "active", "ignored")
"""In the order of the attention that they need."""


def _urgency(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES)


def badge(row: PortRow) -> str:
    """What the state's column shows: the state, or that an open port turns others away."""
    return "guarded" if row.guarded else row.state


_SORT: Final[Mapping[Column, Callable[[Entry], Any]]] = {
    Column.HOST: lambda entry: (entry.row.host_port, numeric(entry.row.host_address)),
    Column.PROTOCOL: lambda entry: entry.row.protocol,
    Column.STATE: lambda entry: _urgency(entry.row.state),
    Column.DIRECTION: lambda entry: entry.row.origin != "machine",
    Column.CONTAINER: lambda entry: _name_key(_container(entry.row)),
    Column.PROCESS: lambda entry: _name_key(entry.row.process),
    Column.GUEST: lambda entry: (entry.row.machine_port, numeric(entry.row.machine_address)),
    Column.MACHINE: lambda entry: _name_key(entry.row.machine),
    Column.FLOWS: lambda entry: entry.row.flows,
    Column.INTO: lambda entry: entry.rate.into,
    Column.OUT: lambda entry: entry.rate.out,
    Column.AGE: lambda entry: -entry.row.since,
}


class Words:
    """The texts of the table, in the language that is in force when it is made."""

    def __init__(self) -> None:
        translate = QCoreApplication.translate
        self._locale = QLocale()
        self.titles: Mapping[Column, str] = {
            Column.HOST: translate("ports", "On this computer"),
            Column.PROTOCOL: translate("ports", "Protocol"),
            Column.STATE: translate("ports", "State"),
            Column.DIRECTION: translate("ports", "Direction"),
            Column.CONTAINER: translate("ports", "Container"),
            Column.PROCESS: translate("ports", "Program"),
            Column.GUEST: translate("ports", "In the machine"),
            Column.MACHINE: translate("ports", "Machine"),
            Column.FLOWS: translate("ports", "Flows"),
            Column.INTO: translate("ports", "In"),
            Column.OUT: translate("ports", "Out"),
            Column.AGE: translate("ports", "Age"),
        }
        self.hints: Mapping[Column, str] = {
            Column.HOST: translate("ports", "Address and port that programs here use"),
            Column.DIRECTION: translate("ports", "Who listens, and where it can be reached"),
            Column.GUEST: translate("ports", "Address and port that containers use"),
            Column.FLOWS: translate("ports", "Connections and UDP conversations open now"),
            Column.INTO: translate("ports", "Bytes a second to programs on this computer"),
            Column.OUT: translate("ports", "Bytes a second from programs on this computer"),
            Column.AGE: translate("ports", "How long the row has been in this state"),
        }
        self.directions: Mapping[str, str] = {
            "machine": translate("ports", "container → this computer"),
            "host": translate("ports", "this computer → container"),
        }
        self.states: Mapping[str, str] = {
            "active": translate("ports", "Active"),
            "pending": translate("ports", "Pending"),
            "conflict": translate("ports", "Conflict"),
            "denied": translate("ports", "Denied"),
            "ignored": translate("ports", "Ignored"),
            "paused": translate("ports", "Paused"),
            "guarded": translate("ports", "Guarded"),
        }
        self._texts: Mapping[Column, Callable[[Entry], str]] = {
            Column.HOST: lambda entry: self.host(entry.row),
            Column.PROTOCOL: lambda entry: plain(entry.row.protocol.upper()),
            Column.STATE: lambda entry: self.state(badge(entry.row)),
            Column.DIRECTION: lambda entry: self.direction(entry.row.origin),
            Column.CONTAINER: lambda entry: plain(_container(entry.row)),
            Column.PROCESS: lambda entry: plain(entry.row.process or ""),
            Column.GUEST: lambda entry: self.guest(entry.row),
            Column.MACHINE: lambda entry: plain(entry.row.machine),
            Column.FLOWS: lambda entry: self._locale.toString(entry.row.flows),
            Column.INTO: lambda entry: self.shown_rate(entry.rate.into),
            Column.OUT: lambda entry: self.shown_rate(entry.rate.out),
        }

    def text(self, column: Column, entry: Entry, wall: float) -> str:
        """What a cell shows; `wall` is the UNIX time, for ages."""
        if column is Column.AGE:
            return self.age(wall - entry.row.since)
        return self._texts[column](entry)

    def all_text(self, row: PortRow, with_machine: bool) -> str:
        """What a row shows but for its numbers, and why, to look for words in."""
        shown = (
            *(self.host(row), row.protocol, self.spoken_state(row), self.direction(row.origin)),
            *(_container(row), row.process or "", self.guest(row), row.reason),
            row.machine if with_machine else "",
        )
        return "\n".join(shown).casefold()

    def host(self, row: PortRow) -> str:
        """Where it is on this computer."""
        return plain(endpoint(row.host_address, row.host_port))

    def guest(self, row: PortRow) -> str:
        """Where it is in the machine."""
        return plain(endpoint(row.machine_address, row.machine_port))

    def state(self, state: str) -> str:
        """The word for a state or a badge, also for one of a later version."""
        return self.states.get(state) or plain(state)

    def spoken_state(self, row: PortRow) -> str:
        """A row's state in full: a badge does not say that the port is open."""
        if badge(row) == row.state:
            return self.state(row.state)
        return QCoreApplication.translate("ports", "{state}, guarded").format(
            state=self.state(row.state)
        )

    def direction(self, origin: str) -> str:
        """The words for a direction."""
        return self.directions.get(origin) or plain(origin)

    def shown_rate(self, rate: float) -> str:
        """Bytes a second; nothing while nothing moves, so that what moves is seen."""
        return self.rate(rate) if rate >= LEAST_RATE else ""

    def rate(self, rate: float) -> str:
        """Bytes a second."""
        return QCoreApplication.translate("ports", "{size}/s").format(size=data_size(rate))

    def age(self, seconds: float) -> str:
        """How long, as roughly as people ask."""
        translate = QCoreApplication.translate
        whole = max(0, int(seconds))
        minutes, hours, days = whole // MINUTE, whole // HOUR, whole // DAY
        if days:
            return translate("ports", "%n d", "days", days)
        if hours:
            return translate("ports", "%n h", "hours", hours)
        if minutes:
            return translate("ports", "%n min", "minutes", minutes)
        return translate("ports", "%n s", "seconds", whole)
