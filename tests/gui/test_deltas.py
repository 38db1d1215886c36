"""Changes of the port table put together: against a plain dictionary, and against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.api.fake import fake_row
from desktop.api.types import ContainerDetails, ContainerRef, PortDelta, PortRow, row_key
from gui.deltas import Gathering, RowKey, Table, container_key, difference, merged

PORTS = range(8000, 8006)
IDS = ("a", "b", None)


def row(port: int, container: str | None = "a", flows: int = 0) -> PortRow:
    ref = None if container is None else ContainerRef(container, container, "docker")
    return msgspec.structs.replace(fake_row(port), container=ref, flows=flows)


def details(rows: Iterable[PortRow]) -> list[ContainerDetails]:
    keys = sorted({key for each in rows if (key := container_key(each))})
    return [ContainerDetails(key[1], key[1], "docker", "image", {}, key[0]) for key in keys]


def change(
    added: Sequence[PortRow] = (),
    changed: Sequence[PortRow] = (),
    removed: Sequence[PortRow] = (),
    revision: int = 1,
) -> PortDelta:
    containers = details([*added, *changed, *removed])
    return PortDelta(revision, list(added), list(changed), list(removed), containers)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (change([row(1)]), change([], [], [row(1)]), change()),
        (change([row(1)]), change([], [row(1, flows=3)]), change([row(1, flows=3)])),
        (change([], [], [row(1)]), change([row(1, "b")]), change([], [row(1, "b")])),
        (change([], [row(1)]), change([], [], [row(1)]), change([], [], [row(1)])),
        (change([], [row(1)]), change([], [row(1, flows=2)]), change([], [row(1, flows=2)])),
        (change([row(1)]), change([row(2)]), change([row(1), row(2)])),
    ],
)
def test_two_changes_are_one(first: PortDelta, second: PortDelta, together: PortDelta) -> None:
    last = msgspec.structs.replace(second, revision=2)
    assert merged([first, last]) == msgspec.structs.replace(together, revision=2)


def test_nothing_gathered_is_false_and_taking_empties() -> None:
    gathering = Gathering()
    assert not gathering
    gathering.add(change([row(1)]))
    assert gathering
    gathering.take()
    assert not gathering


def test_a_container_is_known_as_long_as_one_of_its_rows_is_there() -> None:
    table = Table(1, [row(1), row(2)], details([row(1)]))
    table.apply(change(removed=[row(1)]))
    assert list(table.containers) == [("sandbox", "a")]
    table.apply(change(added=[row(3, "a")], removed=[row(2)]))
    assert list(table.containers) == [("sandbox", "a")]
    table.apply(change(changed=[row(3, "b")]))
    assert list(table.containers) == [("sandbox", "b")]
    table.apply(change(removed=[row(3, "b")]))
    assert table.containers == {}
    assert table.rows == {}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[PortDelta, dict[RowKey, PortRow]]]:
    """Changes as a daemon makes them, and the table after each."""
    table: dict[RowKey, PortRow] = {}
    history = []
    for revision in range(2, draw(st.integers(2, 12))):
        groups: dict[str, list[PortRow]] = {"added": [], "changed": [], "removed": []}
        for port in draw(st.sets(st.sampled_from(PORTS))):
            new = row(port, draw(st.sampled_from(IDS)), draw(st.integers(0, 3)))
            key = row_key(new)
            if key not in table:
                groups["added"].append(new)
                table[key] = new
            elif draw(st.booleans()):
                groups["changed"].append(new)
                table[key] = new
            else:
                groups["removed"].append(table.pop(key))
        history.append((change(**groups, revision=revision), dict(table)))
    return history


def assert_shows(table: Table, rows: dict[RowKey, PortRow]) -> None:
    assert table.rows == rows
    assert set(table.containers) == {(each.machine, each.id) for each in details(rows.values())}


@given(histories(), st.data())
def test_changes_told_in_any_groups_lead_to_the_same_table(
    history: list[tuple[PortDelta, dict[RowKey, PortRow]]], data: st.DataObject
) -> None:
    table = Table(1)
    rest = history
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        group, rest = rest[:size], rest[size:]
        delta = merged(each for each, _ in group)
        assert_fits(delta, table)
        table.apply(delta)
        assert table.revision == group[-1][0].revision
        assert_shows(table, group[-1][1])


def assert_fits(delta: PortDelta, table: Table) -> None:
    """Each row once, added only if new, changed and removed only if there; containers known."""
    keys = [row_key(each) for each in (*delta.added, *delta.changed, *delta.removed)]
    assert len(keys) == len(set(keys))
    assert not {row_key(each) for each in delta.added} & set(table.rows)
    assert {row_key(each) for each in (*delta.changed, *delta.removed)} <= set(table.rows)
    told = [(each.machine, each.id) for each in delta.containers]
    rows = [*delta.added, *delta.changed, *delta.removed]
    assert sorted(told) == [(each.machine, each.id) for each in details(rows)]


@given(histories(), histories())
def test_a_difference_leads_from_any_table_to_any_other(
    one: list[tuple[PortDelta, dict[RowKey, PortRow]]],
    other: list[tuple[PortDelta, dict[RowKey, PortRow]]],
) -> None:
    tables: list[Any] = [history[-1][1] if history else {} for history in (one, other)]
    before, after = (Table(1, rows.values(), details(rows.values())) for rows in tables)
    delta = difference(before, after)
    assert all(before.rows[row_key(each)] != each for each in delta.changed)
    before.apply(delta)
    assert_shows(before, tables[1])
