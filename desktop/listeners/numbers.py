"""Numbers for sockets to which the system gives none: the same one as long as it is there.

Rules: pure. What is known of a socket is its key; of sockets with one key the first, the second and
so on keep their numbers, as nothing tells them apart. A number is not given twice.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable
from typing import Final, Self

__all__ = ["DYNAMIC_PORTS", "Numbers"]

DYNAMIC_PORTS: Final = range(49152, 65536)
"""Ports from which the system chooses, by default: macOS (net.inet.ip.portrange.first and .last)
and Windows (`netsh int ipv4 show dynamicport`) both follow RFC 6335, 6."""


class Numbers:
    """See the module. Ask within `with`, for one look; what was not asked for is forgotten."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self._known: dict[tuple[Hashable, int], int] = {}
        self._seen: dict[tuple[Hashable, int], int] = {}
        self._times: Counter[Hashable] = Counter()

    def __enter__(self) -> Self:
        self._seen = {}
        self._times.clear()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._known = self._seen

    def of(self, key: Hashable) -> int:
        """The number of the next socket with that key."""
        which = key, self._times[key]
        self._times[key] += 1
        number = self._known.get(which)
        self._seen[which] = next(self._next) if number is None else number
        return self._seen[which]
