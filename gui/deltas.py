"""Changes of the port table, put together: several that follow each other, and whole tables.

Rules: pure. Rows are told apart by `row_key`. What comes and goes in between leaves no trace; what
goes and comes back has changed. `Table` takes each change exactly once, in the order of revisions.
Counterparts: `session.py` receives them, the pages' models apply them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from desktop.api.types import ContainerDetails, PortDelta, PortRow, row_key

__all__ = ["ContainerKey", "Gathering", "RowKey", "Table", "container_key", "difference", "merged"]

RowKey = tuple[str, str, str, str, int, str, int]
"""What `row_key` gives."""

ContainerKey = tuple[str, str]
"""The machine, and the id of a container in it."""


def container_key(row: PortRow) -> ContainerKey | None:
    """Whose row it is; None for a port of no container."""
    return None if row.container is None else (row.machine, row.container.id)


@dataclass(slots=True)
class _Fate:
    """What became of a row: whether it was there at first, and is there now."""

    was_there: bool
    is_there: bool
    row: PortRow


class Gathering:
    """Changes that follow each other, to be told as one."""

    def __init__(self) -> None:
        self._fates: dict[RowKey, _Fate] = {}
        self._containers: dict[ContainerKey, ContainerDetails] = {}
        self._revision = 0

    def __bool__(self) -> bool:
        return self._revision > 0

    def add(self, delta: PortDelta) -> None:
        """The next change."""
        self._revision = delta.revision
        for row in delta.removed:
            self._note(row, was_there=True, is_there=False)
        for row in delta.added:
            self._note(row, was_there=False, is_there=True)
        for row in delta.changed:
            self._note(row, was_there=True, is_there=True)
        self._containers.update({(each.machine, each.id): each for each in delta.containers})

    def take(self) -> PortDelta:
        """All that was added since the last time, as one change."""
        added: list[PortRow] = []
        changed: list[PortRow] = []
        removed: list[PortRow] = []
        for fate in self._fates.values():
            if fate.is_there:
                (changed if fate.was_there else added).append(fate.row)
            elif fate.was_there:
                removed.append(fate.row)
        used = {container_key(row) for rows in (added, changed, removed) for row in rows}
        containers = [each for key, each in self._containers.items() if key in used]
        delta = PortDelta(self._revision, added, changed, removed, containers)
        self._fates, self._containers, self._revision = {}, {}, 0
        return delta

    def _note(self, row: PortRow, *, was_there: bool, is_there: bool) -> None:
        fate = self._fates.setdefault(row_key(row), _Fate(was_there, is_there, row))
        fate.is_there = is_there
        fate.row = row


def merged(deltas: Iterable[PortDelta]) -> PortDelta:
    """One change that does what these do, one after the other."""
    gathering = Gathering()
    for delta in deltas:
        gathering.add(delta)
    return gathering.take()


class Table:
    """The port table at one revision.

    Attributes:
        rows, containers: views that stay true; containers of these rows only.
    """

    def __init__(
        self,
        revision: int = 0,
        rows: Iterable[PortRow] = (),
        containers: Iterable[ContainerDetails] = (),
    ) -> None:
        self.rows: Final[dict[RowKey, PortRow]] = {}
        self.containers: Final[dict[ContainerKey, ContainerDetails]] = {}
        self._uses: Counter[ContainerKey] = Counter()
        self.apply(PortDelta(revision, list(rows), [], [], list(containers)))

    def apply(self, delta: PortDelta) -> None:
        """Become the table after this change."""
        self.revision = delta.revision
        self.containers.update({(each.machine, each.id): each for each in delta.containers})
        touched = {(each.machine, each.id) for each in delta.containers}
        for row in delta.removed:
            touched |= self._forget(self.rows.pop(row_key(row), None))
        for row in (*delta.added, *delta.changed):
            touched |= self._forget(self.rows.get(row_key(row)))
            self.rows[row_key(row)] = row
            container = container_key(row)
            if container is not None:
                self._uses[container] += 1
        for key in touched:
            if self._uses[key] <= 0:
                self.containers.pop(key, None)
                del self._uses[key]

    def _forget(self, row: PortRow | None) -> set[ContainerKey]:
        """A row is not in the table any more: the container of which there is one less."""
        container = None if row is None else container_key(row)
        if container is None:
            return set()
        self._uses[container] -= 1
        return {container}


def difference(before: Table, after: Table) -> PortDelta:
    """The change that leads from one table to the other."""
    added: list[PortRow] = []
    changed: list[PortRow] = []
    for key, row in after.rows.items():
        known = before.rows.get(key)
        if known is None:
            added.append(row)
        elif known != row:
            changed.append(row)
    removed = [row for key, row in before.rows.items() if key not in after.rows]
    containers: Mapping[ContainerKey, ContainerDetails] = {**before.containers, **after.containers}
    return PortDelta(after.revision, added, changed, removed, list(containers.values()))
