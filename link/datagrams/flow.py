"""One UDP flow as the desktop counts it: the same words as a TCP flow's.

Rules: bytes are counted where they pass, from the client (`from_first`) and from the server
(`from_second`). Counterparts: `front.py` and `back.py` make flows, the desktop's traffic counts
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from link.relay.relay import Flow

__all__ = ["UNWATCHED", "DatagramFlow", "Watch"]


class DatagramFlow(Flow):
    """A flow by its number on a stream. `last_heard` is the time of its last datagram."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.last_heard = 0.0
        self.first_bytes = 0
        self.second_bytes = 0

    @property
    def from_first(self) -> int:
        """See `Flow.from_first`."""
        return self.first_bytes

    @property
    def from_second(self) -> int:
        """See `Flow.from_second`."""
        return self.second_bytes

    def abort(self) -> None:
        """See `Flow.abort`. There is no connection to reset: silence ends a flow."""


class Watch(NamedTuple):
    """Who is told of flows: that one began, that one ended, and that some were evicted."""

    started: Callable[[Flow], None]
    ended: Callable[[Flow], None]
    evicted: Callable[[int], None]


def _ignore(_: object) -> None:
    """Nobody watches."""


UNWATCHED = Watch(_ignore, _ignore, _ignore)
"""For an end where nothing depends on flows."""
