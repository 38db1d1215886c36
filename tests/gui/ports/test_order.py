"""Places in a sorted list, and runs of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gui.ports.order import Order, gather, runs


@dataclass
class Item:
    """Something with a key."""

    key: int


numbers = st.lists(st.integers(0, 60), unique=True)


@given(st.sets(st.integers(0, 40)))
def test_runs_are_as_long_as_can_be_and_hold_every_place_once(places: set[int]) -> None:
    found = runs(places)
    assert sorted(places) == [place for first, last in found for place in range(first, last + 1)]
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


@given(numbers, numbers, st.booleans())
def test_insertions_made_from_the_last_on_keep_the_order(
    old: list[int], new: list[int], descending: bool
) -> None:
    order = Order(descending)
    items = [Item(key) for key in old]
    order.sort(items)
    for place, group in order.insertions(items, [Item(key) for key in set(new) - set(old)]):
        items[place:place] = group
    assert [item.key for item in items] == sorted({*old, *new}, reverse=descending)


@given(numbers, st.booleans())
def test_every_item_is_found_where_it_is(keys: list[int], descending: bool) -> None:
    order = Order(descending)
    items = [Item(key) for key in keys]
    order.sort(items)
    assert [order.place(items, item) for item in items] == list(range(len(items)))


@given(numbers, st.booleans(), st.data())
def test_order_holds_exactly_if_the_whole_list_still_is_sorted(
    keys: list[int], descending: bool, data: st.DataObject
) -> None:
    order = Order(descending)
    items = [Item(key * 2) for key in keys]
    order.sort(items)
    touched = data.draw(st.sets(st.sampled_from(range(len(items))))) if items else set()
    for place in touched:
        items[place].key = data.draw(st.integers(0, 60)) * 2 + 1
    sorted_keys = sorted((item.key for item in items), reverse=descending)
    is_sorted = [item.key for item in items] == sorted_keys
    has_twins = len(set(sorted_keys)) < len(sorted_keys)
    assert has_twins or order.holds(items, touched) == is_sorted


@given(numbers, st.data())
def test_gathered_items_stand_behind_all_others(keys: list[int], data: st.DataObject) -> None:
    items = [Item(key) for key in keys]
    places = data.draw(st.sets(st.sampled_from(range(len(items))))) if items else set()
    arranged = gather(items, places)
    assert sorted(map(id, arranged)) == sorted(map(id, items))
    assert arranged[len(items) - len(places) :] == [items[place] for place in sorted(places)]
