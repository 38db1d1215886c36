"""A program of this computer speaks to a container: has it opened a port, which it may be naming?

    server says "227 Entering Passive Mode", client says "PORT 127,0,0,1,…"
       ─▶ relay ─▶ look, and tell the agent ─▶ and only then pass it on

Servers of FTP, RTSP and iperf3 name ports that they have just opened, and so do clients that want
to be called back; the container asks there at once. Nothing here tells of a bind, so it is looked
for before words go on, for as long as that costs little: the sockets are counted
(`link.socket_counts`), and there is a scan only if that has changed.

Rules: at most COUNTS and LOOKS after a quiet time, and in the long run one in each period. Where
either is used up, nobody need ask for a while (`pause`): to ask before each of 40 000 messages a
second took a twentieth of a core. Never raises.

Limits: Linux. A program that names a port later than it opens it needs none of this, and one that
speaks by UDP gets none.

Between two scans that the clock asks for `mirroring.py` counts as well, less often.

Counterparts: `link.relay` asks, `mirroring.py` looks; for containers' programs `vmagent.watch`.
"""

from __future__ import annotations

from typing import Final

from link.socket_counts import SocketCounts

__all__ = ["COUNTS", "COUNT_PERIOD", "LEAST_PAUSE", "LOOKS", "LOOK_PERIOD", "NamedPorts"]

COUNTS: Final = 64
COUNT_PERIOD: Final = 0.002
"""Seconds; a count takes 15 µs."""

LOOKS: Final = 16
LOOK_PERIOD: Final = 0.05
"""Seconds; a scan takes 0.3 ms, and some more where it finds something."""

LEAST_PAUSE: Final = 0.01
"""Seconds; to come back from one takes as long as to ask ten times."""


class _Allowance:
    """So many at once after a quiet time, and one in each period in the long run."""

    def __init__(self, most: int, period: float) -> None:
        self._most = most
        self._period = period
        self._paid_until = 0.0

    def take(self, now: float) -> bool:
        """True if there is one left, which is taken."""
        if self.wait(now) > 0:
            return False
        self._paid_until = max(self._paid_until, now - self._most * self._period) + self._period
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is one; not above 0 if there is."""
        return self._paid_until + self._period - now


class NamedPorts:
    """Says whether to look. Close it when done."""

    def __init__(self) -> None:
        self._counts = SocketCounts()
        self._seen: tuple[bytes, ...] | None = None
        self._may_count = _Allowance(COUNTS, COUNT_PERIOD)
        self._may_look = _Allowance(LOOKS, LOOK_PERIOD)

    def looked(self) -> None:
        """A scan begins: what is there now, it sees."""
        self._seen = self._counts.read()

    def is_due(self, now: float, *, has_closed: bool) -> bool:
        """True if a scan is worth its while: sockets have come or gone, some `has_closed` for sure.

        `now` is in seconds of any monotonic clock.
        """
        if self._may_look.wait(now) > 0:
            return False
        return (has_closed or self._may_have_changed(now)) and self._may_look.take(now)

    def pause(self, now: float) -> float:
        """Seconds for which `is_due` need not be asked again; 0 if it may say yes.

        It would of one that has closed, for which there is a scan at once by itself.
        """
        wait = max(self._may_look.wait(now), self._may_count.wait(now))
        return max(wait, LEAST_PAUSE) if wait > 0 else 0.0

    @property
    def can_count(self) -> bool:
        """False where the system does not tell how many sockets there are."""
        return self._seen is not None

    @property
    def has_changed(self) -> bool:
        """True if sockets have come or gone since the last scan; takes 15 µs."""
        return self._counts.read() != self._seen

    def close(self) -> None:
        """Free what is held. May be called twice."""
        self._counts.close()

    def _may_have_changed(self, now: float) -> bool:
        return self._may_count.take(now) and self.has_changed
