"""Snapshots and changes from the machine: what is believed, and when all is asked for again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from desktop.mirror.inventory import Inventory
from link.listener import Container, Listener
from link.messages import Delta, Snapshot


def listener(number: int) -> Listener:
    return Listener(number, "tcp", "127.0.0.1", 1000 + number)


def whole(generation: int, *numbers: int) -> Snapshot:
    return Snapshot(generation, first=True, last=True, listeners=tuple(map(listener, numbers)))


def test_nothing_is_known_before_the_last_part_of_the_first_snapshot() -> None:
    inventory = Inventory()
    assert not inventory.snapshot(Snapshot(1, first=True, last=False, listeners=(listener(1),)))
    assert (inventory.is_complete, inventory.listeners) == (False, {})
    assert inventory.snapshot(Snapshot(1, first=False, last=True, listeners=(listener(2),)))
    assert inventory.is_complete
    assert sorted(inventory.listeners) == [1, 2]


def test_the_old_truth_stands_until_the_new_one_is_whole() -> None:
    inventory = Inventory()
    inventory.snapshot(whole(1, 1))
    inventory.snapshot(Snapshot(2, first=True, last=False, listeners=(listener(2),)))
    assert sorted(inventory.listeners) == [1]


def test_a_part_of_another_generation_is_dropped() -> None:
    inventory = Inventory()
    inventory.snapshot(Snapshot(1, first=True, last=False, listeners=(listener(1),)))
    assert not inventory.snapshot(Snapshot(2, first=False, last=True, listeners=(listener(2),)))
    assert not inventory.is_complete


def test_changes_in_order_are_applied_and_repeats_are_harmless() -> None:
    inventory = Inventory()
    inventory.snapshot(whole(3, 1))
    assert inventory.delta(Delta(3, 1, (listener(2), listener(1)), (9,)))
    assert inventory.delta(Delta(3, 2, (), (1,)))
    assert sorted(inventory.listeners) == [2]


def test_a_gap_is_told_and_nothing_more_is_believed_until_a_snapshot() -> None:
    inventory = Inventory()
    inventory.snapshot(whole(3, 1))
    assert not inventory.delta(Delta(3, 2, (listener(2),), ()))
    assert not inventory.delta(Delta(3, 1, (listener(2),), ()))
    assert sorted(inventory.listeners) == [1]
    assert inventory.snapshot(whole(4, 5))
    assert inventory.delta(Delta(4, 1, (), (5,)))


def test_a_change_of_another_generation_is_a_gap() -> None:
    inventory = Inventory()
    inventory.snapshot(whole(3, 1))
    assert not inventory.delta(Delta(2, 1, (), (1,)))


def test_a_listener_of_a_container_that_nobody_told_is_believed_all_the_same() -> None:
    inventory = Inventory()
    reference = Container("ab", "", "docker")
    of_container = replace(listener(1), container=reference)
    snapshot = Snapshot(1, first=True, last=True, listeners=(of_container,))
    assert inventory.snapshot(snapshot)
    assert inventory.listeners == {1: of_container}
    assert inventory.delta(Delta(1, 1, (of_container,), (), (replace(reference, name="web"),)))
    assert inventory.listeners[1].container == Container("ab", "web", "docker")


def test_containers_are_forgotten_with_their_generation() -> None:
    inventory = Inventory()
    reference = Container("ab", "", "docker")
    of_container = replace(listener(1), container=reference)
    inventory.snapshot(Snapshot(1, True, True, (of_container,), (replace(reference, name="web"),)))
    inventory.snapshot(Snapshot(2, True, True, (of_container,)))
    assert inventory.listeners[1].container == reference


@given(st.lists(st.tuples(st.sets(st.integers(1, 9)), st.sets(st.integers(1, 9))), max_size=20))
def test_any_run_of_changes_gives_what_they_say(changes: list[tuple[set[int], set[int]]]) -> None:
    inventory = Inventory()
    inventory.snapshot(whole(1))
    expected: set[int] = set()
    for sequence, (added, removed) in enumerate(changes, 1):
        message = Delta(1, sequence, tuple(map(listener, added)), tuple(removed))
        assert inventory.delta(message)
        expected = (expected - removed) | added
    assert set(inventory.listeners) == expected
