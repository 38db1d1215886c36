"""Ends flows that have been silent for too long, by a timer that runs while there are flows.

Rules: the clients' end decides. It tells the other with a word, which is lost if it has to make
room for what is newer, or if that end is in trouble: so the servers' end looks, too, and waits
longer by a grace. Counterparts: `flows.py` knows who is silent; `front.py` and `back.py` end flows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from link.datagrams.flows import FlowTable

__all__ = ["Sweep"]

LEAST_SECONDS: Final = 0.5
"""Between two looks."""
LONGEST_SECONDS: Final = 2.0
"""The same, without the grace: how late a limit that was lowered meanwhile may count."""

_Flow = TypeVar("_Flow")


class Sweep(Generic[_Flow]):
    """Has `end` end the flows that were taken from `flows` for their silence. `close` at last."""

    def __init__(
        self,
        flows: FlowTable[Any, Any],
        end: Callable[[list[_Flow]], None],
        grace_seconds: float = 0.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._flows = flows
        self._end = end
        self._grace_seconds = grace_seconds
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Look again in time, if there are flows."""
        deadline = self._flows.deadline()
        if self._timer is None and deadline is not None:
            wait = min(max(deadline - monotonic(), LEAST_SECONDS), LONGEST_SECONDS)
            self._timer = self._loop.call_later(wait + self._grace_seconds, self._look)

    def close(self) -> None:
        """Look no more. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        silent = self._flows.take_silent(monotonic() - self._grace_seconds)
        if silent:
            self._end(silent)
        self.arm()
