"""Who stands where: keeps mirrors of ours from meeting one another.

When a container moves from `127.0.0.1` to `0.0.0.0`, the new mirror may only be opened when the
old one is closed, or the two would report each other as a conflict.

Rules: pure; constant time per question. Counterpart: `reconcile.py`.
"""

from __future__ import annotations

from collections import defaultdict

from desktop.mirror.model import WILDCARD, Binding, family_of

__all__ = ["Crowd"]

_Spot = tuple[str, str, int, int]


def _spot(binding: Binding) -> _Spot:
    """Only bindings of one spot can meet."""
    return (str(binding.origin), binding.protocol, binding.port, family_of(binding.address))


def _is_wildcard(binding: Binding) -> bool:
    return binding.address == WILDCARD[family_of(binding.address)]


class Crowd:
    """The bindings that are open, about to be, or about to go; and who waits for them."""

    def __init__(self) -> None:
        self._present: defaultdict[_Spot, set[Binding]] = defaultdict(set)
        self._waiting: defaultdict[_Spot, set[Binding]] = defaultdict(set)

    def enter(self, binding: Binding) -> bool:
        """Stand there: True. If another is in the way, wait for it: False."""
        spot = _spot(binding)
        if self._is_blocked(binding, self._present.get(spot, set())):
            self._waiting[spot].add(binding)
            return False
        self._present[spot].add(binding)
        return True

    def leave(self, binding: Binding) -> list[Binding]:
        """Go away. Returns those that waited and may now have room.

        Whoever waits does so because of a wildcard, its own or the other's, so only an empty
        spot helps.
        """
        spot = _spot(binding)
        present = self._present[spot]
        present.discard(binding)
        if present:
            return []
        del self._present[spot]
        return sorted(self._waiting.pop(spot, ()))

    def forget(self, binding: Binding) -> None:
        """It waits no longer."""
        spot = _spot(binding)
        if spot in self._waiting:
            self._waiting[spot].discard(binding)
            if not self._waiting[spot]:
                del self._waiting[spot]

    @staticmethod
    def _is_blocked(binding: Binding, present: set[Binding]) -> bool:
        if not present or _is_wildcard(binding):
            return bool(present)
        # A wildcard leaves room for nobody, so where one stands it stands alone.
        return len(present) == 1 and _is_wildcard(next(iter(present)))
