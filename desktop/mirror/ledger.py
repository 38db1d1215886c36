"""The rows: what became of each wish, what changed since it was last told, and what to notify.

Rules: pure. `since` moves only when the state does. A conflict is told once: rows about the same
protocol and port (both families, both origins, all machines) are one conflict, of which the row
of a machine's listener is shown; when it healed and comes back within NOTICE_QUIET_SECONDS, nobody
is told again.
Counterpart: `reconcile.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from desktop.mirror.model import Binding, BindingOrder, Origin, Row, State, Wish, binding_order

__all__ = ["NOTICE_QUIET_SECONDS", "Changes", "Ledger"]

NOTICE_QUIET_SECONDS: Final = 60.0
"""How long a conflict must have been gone before its return is news."""

_Topic = tuple[str, int]
"""What a notice is about: protocol and port."""


class Changes(NamedTuple):
    """Rows that are new, that differ, and (as they last were) that are gone; each sorted."""

    added: list[Row]
    changed: list[Row]
    removed: list[Row]


@dataclass(slots=True)
class _Dispute:
    """Conflicts about one topic: rows in that state now, and until when a new one is no news."""

    rows: int = 0
    quiet_until: float | None = None


class Ledger:
    """All rows by binding."""

    def __init__(self) -> None:
        self._rows: dict[Binding, Row] = {}
        self._told: dict[Binding, Row] = {}
        self._dirty: set[Binding] = set()
        self._conflicts: dict[Binding, None] = {}
        self._disputes: dict[_Topic, _Dispute] = {}
        self._news: set[_Topic] = set()

    @property
    def conflicts(self) -> Iterable[Binding]:
        """The bindings whose state is CONFLICT, the oldest first."""
        return self._conflicts.keys()

    def row(self, binding: Binding) -> Row | None:
        """The row of a binding, if there is one."""
        return self._rows.get(binding)

    def rows(self) -> list[Row]:
        """All rows, sorted."""
        return _in_order(self._rows.values())

    def show(self, wish: Wish, state: State, reason: str, now: float) -> None:
        """What became of `wish`."""
        binding = wish.binding
        old = self._rows.get(binding)
        if old is None or old.state is not state:
            row = Row(wish, state, reason, now)
            self._move(binding, old.state if old else None, state, now)
        else:
            row = Row(wish, state, reason, old.since)
            if row == old:
                return
        self._rows[binding] = row
        self._dirty.add(binding)

    def remove(self, binding: Binding, now: float) -> None:
        """Nobody wishes it any more."""
        old = self._rows.pop(binding, None)
        if old is not None:
            self._move(binding, old.state, None, now)
            self._dirty.add(binding)

    def take_changes(self) -> Changes:
        """What differs from the time of the last call."""
        added, changed, removed = [], [], []
        for binding in self._dirty:
            old, new = self._told.pop(binding, None), self._rows.get(binding)
            if new is not None:
                self._told[binding] = new
            if old is None and new is not None:
                added.append(new)
            elif old is not None and new is None:
                removed.append(old)
            elif new is not None and old != new:
                changed.append(new)
        self._dirty.clear()
        return Changes(_in_order(added), _in_order(changed), _in_order(removed))

    def take_notices(self) -> list[Row]:
        """One row for each conflict that is news; it is none afterwards."""
        chosen: dict[_Topic, Binding] = {}
        for binding in self._conflicts if self._news else ():
            topic = _topic(binding)
            if topic in self._news:
                rival = chosen.setdefault(topic, binding)
                chosen[topic] = min(rival, binding, key=_preference)
        self._news.clear()
        return _in_order(self._rows[binding] for binding in chosen.values())

    def forget_disputes(self, now: float) -> None:
        """Drop what is remembered of conflicts that are over for good."""
        for topic, dispute in list(self._disputes.items()):
            if not dispute.rows and now >= (dispute.quiet_until or 0.0):
                del self._disputes[topic]

    def _move(self, binding: Binding, old: State | None, new: State | None, now: float) -> None:
        if new is State.CONFLICT:
            self._enter_conflict(binding, now)
        elif old is State.CONFLICT:
            self._leave_conflict(binding, now)

    def _enter_conflict(self, binding: Binding, now: float) -> None:
        self._conflicts[binding] = None
        topic = _topic(binding)
        dispute = self._disputes.setdefault(topic, _Dispute())
        is_quiet = dispute.quiet_until is not None and now < dispute.quiet_until
        if not dispute.rows and not is_quiet:
            self._news.add(topic)
        dispute.rows += 1

    def _leave_conflict(self, binding: Binding, now: float) -> None:
        del self._conflicts[binding]
        topic = _topic(binding)
        dispute = self._disputes[topic]
        dispute.rows -= 1
        if dispute.rows:
            return
        if topic in self._news:
            self._news.discard(topic)
        else:
            dispute.quiet_until = now + NOTICE_QUIET_SECONDS


def _topic(binding: Binding) -> _Topic:
    return binding.protocol, binding.port


def _preference(binding: Binding) -> tuple[bool, Binding]:
    return binding.origin is not Origin.MACHINE, binding


def _order(row: Row) -> BindingOrder:
    return binding_order(row.wish.binding)


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=_order)
