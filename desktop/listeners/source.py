"""The one interface of this room: a source of the computer's own listeners.

Guarantees that every source gives, proven by `tests/contract/test_listener_sources.py`: a scan
is complete (level, not edge), its order is stable, sockets named by inode in `exclude` do not
appear, and a scan never raises for a socket that went away while it ran. A UDP listener is a
socket bound on purpose and without a peer; where the system cannot tell purpose from its own
choice of a port, the source waits until it knows better, and no longer than some seconds.
"""

from __future__ import annotations

import abc
from typing import Final, NamedTuple

from link.listener import Listener

__all__ = ["ListenerSource", "Pace"]


class Pace(NamedTuple):
    """Seconds between two scans: while things happen, and when nothing does."""

    fast: float
    slow: float


PACE: Final = Pace(0.1, 1.0)
"""Of Linux, where a scan takes 0.1 ms."""


class ListenerSource(abc.ABC):
    """Lists listening sockets of this computer. Not thread-safe; close it when done.

    Attributes:
        pace: how often to scan; it may change with a scan.
    """

    pace: Pace = PACE

    @abc.abstractmethod
    def scan(self, exclude: frozenset[int]) -> list[Listener]:
        """All TCP and UDP listeners now, sorted by (protocol, port, address, id).

        Without those of `exclude`: socket inodes of our own; where sockets have no inodes,
        without those of this process. Raises OSError when the system refuses.
        """

    @abc.abstractmethod
    def wakeup_fileno(self) -> int | None:
        """A descriptor that becomes readable when a listener may have gone; None if none."""

    @abc.abstractmethod
    def drain(self) -> bool:
        """Empty the wake-up descriptor; True if a rescan is worth its while."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free what the source holds. May be called twice."""
