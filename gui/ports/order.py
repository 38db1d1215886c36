"""Arithmetic of a sorted table: where rows are, where they go, and what lies side by side.

Rules: pure. `items` are sorted by `key`, no two keys are equal; so a place is found by halving,
and nothing has to remember it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["Order", "gather", "runs"]


class _Item(Protocol):
    """What can be sorted."""

    key: Any


ItemT = TypeVar("ItemT", bound=_Item)


class _Down:
    """A key that sorts the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Down) -> bool:
        return bool(other.key < self.key)


def _up_key(item: _Item) -> Any:
    return item.key


def _down_key(item: _Item) -> _Down:
    return _Down(item.key)


class Order:
    """Ascending or descending."""

    def __init__(self, descending: bool = False) -> None:
        self.descending = descending
        self._key: Callable[[_Item], Any] = _down_key if descending else _up_key

    def sort(self, items: list[ItemT]) -> None:
        """Sort them in place."""
        items.sort(key=_up_key, reverse=self.descending)

    def place(self, items: Sequence[ItemT], item: _Item) -> int:
        """Where an item of this key is, or would be."""
        return bisect_left(items, self._key(item), key=self._key)

    def holds(self, items: Sequence[ItemT], places: Iterable[int]) -> bool:
        """True if the items at these places still are in order with their neighbours."""
        last = len(items) - 1
        return all(
            (place == 0 or self._is_before(items[place - 1], items[place]))
            and (place == last or self._is_before(items[place], items[place + 1]))
            for place in places
        )

    def insertions(
        self, items: Sequence[ItemT], new: Iterable[ItemT]
    ) -> list[tuple[int, list[ItemT]]]:
        """The new ones, sorted, in groups by the place before which each goes; last place first."""
        ordered = list(new)
        self.sort(ordered)
        groups: dict[int, list[ItemT]] = {}
        for item in ordered:
            groups.setdefault(self.place(items, item), []).append(item)
        return sorted(groups.items(), reverse=True)

    def _is_before(self, one: _Item, other: _Item) -> bool:
        return bool(other.key < one.key if self.descending else one.key < other.key)


def runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of what lies side by side, in order."""
    found: list[tuple[int, int]] = []
    for place in sorted(places):
        if found and found[-1][1] == place - 1:
            found[-1] = found[-1][0], place
        else:
            found.append((place, place))
    return found


def gather(items: Sequence[ItemT], places: set[int]) -> list[ItemT]:
    """The same items, with those at `places` behind all others."""
    stay = [item for place, item in enumerate(items) if place not in places]
    return stay + [items[place] for place in sorted(places)]
