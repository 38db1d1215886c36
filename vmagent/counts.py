"""What the agent has refused, lost and repaired, for the desktop to show.

Rules: numbers since the agent's start, told when they have changed, at most once in TELL_SECONDS.
Counterparts: `link.messages.Counts`, `desktop/api/counters.py`, where each name is explained (with
`agent_` before it).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["TELL_SECONDS", "Counts"]

TELL_SECONDS: Final = 1.0


class Counts:
    """What is to be told of these `sources`, by name; `clock` gives seconds."""

    def __init__(
        self, sources: dict[str, Callable[[], int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = sources
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Whoever was told is gone: the next takes all numbers for 0 that it is not told."""
        self._told = dict.fromkeys(self._sources, 0)
        self._next = 0.0

    def news(self) -> dict[str, int] | None:
        """All numbers, if one is another than was told and it is time; None else."""
        now = self._clock()
        if now < self._next:
            return None
        counted = {name: source() for name, source in self._sources.items()}
        if counted == self._told:
            return None
        self._told, self._next = counted, now + TELL_SECONDS
        return counted
