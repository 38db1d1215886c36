"""What is told of containers, how often, and when both ends begin anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TypeVar

from desktop.mirror.inventory import Inventory
from link.listener import Container, Listener
from link.messages import MAX_CONTAINERS, MAX_LISTENERS, Delta, Snapshot, decode, encode
from vmagent.told import SPARE_CONTAINERS, Told

Either = TypeVar("Either", Snapshot, Delta)
WEB = Container("ab" * 32, "web", "docker", "nginx", (("tier", "front"),))


def listener(number: int, container: Container | None = WEB) -> Listener:
    return Listener(number, "tcp", "127.0.0.1", number % 65535 + 1, container=container)


def container(number: int) -> Container:
    return replace(WEB, id=f"{number:064x}", name=f"web{number}")


def test_a_container_is_told_once_however_many_listeners_it_has() -> None:
    told = Told()
    parts = told.snapshot(1, [listener(number) for number in range(2 * MAX_LISTENERS + 1)])
    assert [(each.first, each.last, len(each.listeners)) for each in parts] == [
        (True, False, MAX_LISTENERS),
        (False, False, MAX_LISTENERS),
        (False, True, 1),
    ]
    assert [each.containers for each in parts] == [(WEB,), (), ()]
    assert told.delta((listener(9000),), (1, 2)) == [Delta(1, 1, (listener(9000),), (1, 2))]


def test_a_new_container_and_one_that_differs_are_told_with_their_listeners() -> None:
    told = Told()
    told.snapshot(1, [listener(1)])
    other, renamed = container(7), replace(WEB, name="shop")
    (delta,) = told.delta((listener(2, other), listener(1, renamed), listener(3, None)), ())
    assert set(delta.containers) == {other, renamed}
    assert told.delta((listener(4, other),), ())[0].containers == ()


def test_two_containers_of_one_id_are_two_if_their_runtimes_differ() -> None:
    other = replace(WEB, runtime="podman")
    (part,) = Told().snapshot(1, [listener(1), listener(2, other)])
    assert set(part.containers) == {WEB, other}


def test_many_containers_go_in_parts_each_before_its_listeners() -> None:
    told = Told()
    listeners = [listener(number, container(number)) for number in range(2 * MAX_CONTAINERS + 1)]
    parts = told.snapshot(1, listeners)
    assert [(len(each.containers), len(each.listeners)) for each in parts] == [
        (MAX_CONTAINERS, 0),
        (MAX_CONTAINERS, 0),
        (1, len(listeners)),
    ]
    assert [each.last for each in parts] == [False, False, True]
    more = [listener(100 + n, container(100 + n)) for n in range(MAX_CONTAINERS + 1)]
    deltas = told.delta(tuple(more), tuple(range(MAX_LISTENERS + 1)))
    assert [each.sequence for each in deltas] == [1, 2]
    assert [len(each.containers) for each in deltas] == [MAX_CONTAINERS, 1]
    assert [len(each.removed) for each in deltas] == [MAX_LISTENERS, 1]


def test_nothing_at_all_is_one_part() -> None:
    assert Told().snapshot(3, ()) == [Snapshot(3, first=True, last=True, listeners=())]


def test_a_snapshot_is_due_when_many_containers_have_come_and_tells_all_again() -> None:
    told = Told()
    told.snapshot(1, [listener(1)])
    for number in range(SPARE_CONTAINERS + 1):
        assert not told.is_too_much
        told.delta((listener(number, container(number)),), (number - 1,))
    told.delta((listener(9999, container(9999)),), ())
    assert told.is_too_much
    (part,) = told.snapshot(2, [listener(1)])
    assert (part.containers, told.is_too_much) == ((WEB,), False)


def test_the_other_end_puts_together_what_was_taken_apart_and_shares_the_containers() -> None:
    told, inventory = Told(), Inventory()
    containers = [container(number) for number in range(2 * MAX_CONTAINERS + 3)]
    listeners = [
        listener(number, containers[number % len(containers)])
        for number in range(2 * MAX_LISTENERS)
    ] + [listener(5000, None)]
    for part in told.snapshot(1, listeners):
        inventory.snapshot(crossed(part))
    assert list(inventory.listeners.values()) == listeners
    renamed = replace(containers[0], name="shop")
    for delta in told.delta((listener(6000, renamed),), (1,)):
        assert inventory.delta(crossed(delta))
    assert inventory.listeners[6000].container == renamed
    assert 1 not in inventory.listeners
    objects = {id(each.container) for each in inventory.listeners.values() if each.container}
    assert len(objects) == len(containers) + 1


def crossed(message: Either) -> Either:
    """As it comes off the wire."""
    received = decode(json.loads(json.dumps(encode(message))))
    assert isinstance(received, type(message))
    return received
