"""Who stands where: keeps mirrors of ours from meeting one another.

When a container moves from `127.0.0.1` to `0.0.0.0`, the new mirror may only be opened when the
old one is closed, or the two would report each other as a conflict. When containers of two
machines have the same port, whoever came first stands, and the others wait.

Rules: pure; constant time per question about one binding. Whoever waits does so for one that
stands, and is told when that goes, to enter or to wait for another. Counterpart: `reconcile.py`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable

from desktop.mirror.model import WILDCARD, Binding, Origin, family_of

__all__ = ["Crowd"]

_Spot = tuple[str, str, int, int, str]


def _spot(binding: Binding) -> _Spot:
    """Only bindings of one spot can meet: on this computer, those of all machines."""
    where = binding.machine if binding.origin is Origin.HOST else ""
    return (binding.origin.value, binding.protocol, binding.port, family_of(binding.address), where)


class Crowd:
    """The bindings that are open, about to be, or about to go; and who waits for them."""

    def __init__(self) -> None:
        self._present: defaultdict[_Spot, dict[str, Binding]] = defaultdict(dict)
        self._waiters: defaultdict[Binding, dict[Binding, None]] = defaultdict(dict)
        self._obstacles: dict[Binding, Binding] = {}
        self._arrivals: dict[Binding, int] = {}
        self._tickets = itertools.count()

    def enter(self, binding: Binding) -> bool:
        """Stand there: True. If another is in the way, wait for it: False."""
        if binding in self._obstacles:
            return False
        spot = _spot(binding)
        obstacle = _in_the_way(binding, self._present.get(spot, {}))
        if obstacle is None:
            self._arrivals.pop(binding, None)
            self._present[spot][binding.address] = binding
            return True
        self._arrivals.setdefault(binding, next(self._tickets))
        self._obstacles[binding] = obstacle
        self._waiters[obstacle][binding] = None
        return False

    def leave(self, binding: Binding) -> list[Binding]:
        """Go away. Returns those that waited for it: now they may enter, or wait for another."""
        spot = _spot(binding)
        present = self._present[spot]
        present.pop(binding.address, None)
        if not present:
            del self._present[spot]
        freed = list(self._waiters.pop(binding, ()))
        for waiter in freed:
            del self._obstacles[waiter]
        return freed

    def forget(self, binding: Binding) -> None:
        """It waits no longer."""
        self._arrivals.pop(binding, None)
        obstacle = self._obstacles.pop(binding, None)
        if obstacle is not None:
            del self._waiters[obstacle][binding]
            if not self._waiters[obstacle]:
                del self._waiters[obstacle]

    def in_order(self, bindings: Iterable[Binding]) -> Iterable[Binding]:
        """Those that have waited first, in the order in which they came; the others as they are."""
        if not self._arrivals:
            return bindings
        return sorted(bindings, key=lambda binding: self._arrivals.get(binding, math.inf))

    def obstacle(self, binding: Binding) -> Binding | None:
        """Whom it waits for, if it waits."""
        return self._obstacles.get(binding)

    def waiters(self, binding: Binding) -> Iterable[Binding]:
        """Those that wait for it."""
        return tuple(self._waiters.get(binding, ()))


def _in_the_way(binding: Binding, present: dict[str, Binding]) -> Binding | None:
    """A wildcard leaves room for nobody, and finds none where anybody stands."""
    wildcard = WILDCARD[family_of(binding.address)]
    if binding.address == wildcard:
        return next(iter(present.values()), None)
    return present.get(binding.address) or present.get(wildcard)
