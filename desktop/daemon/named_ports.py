"""A server of this computer speaks to a container: has it opened a port, which it may be naming?

    server says "227 Entering Passive Mode" ─▶ relay ─▶ heard ─▶ look, and tell the agent
                                                 └─▶ and only then pass it on

Servers of FTP, RTSP and iperf3 do so, and a container's client asks at that port at once. Nothing
here tells of a bind, so it is looked for before a server's words go on, for as long as that costs
little: a count of the sockets first (`link.socket_counts`), and only if that has changed a scan.

Rules: at most BURST counts after a quiet time and one in each PERIOD in the long run; scans within
the bounds of all scans (`link.polling`). Never raises.

Limits: Linux. A server that names a port later than it opens it needs none of this. One that speaks
by UDP gets none, nor does one that names a port with its first words: most say nothing else, and
short connections would be a twelfth slower.

Counterparts: `link.relay` asks, `mirroring.py` looks; for containers' servers `vmagent.watch`.
"""

from __future__ import annotations

from typing import Final

from link.socket_counts import SocketCounts

__all__ = ["BURST", "PERIOD", "NamedPorts"]

BURST: Final = 64
"""Counts without a pause."""

PERIOD: Final = 0.002
"""Seconds for each in the long run; one takes 15 µs."""


class NamedPorts:
    """Says whether a look may find something. Close it when done."""

    def __init__(self) -> None:
        self._counts = SocketCounts()
        self._seen: tuple[bytes, ...] | None = None
        self._paid_until = 0.0

    def looked(self) -> None:
        """A scan begins: what is there now, it sees."""
        self._seen = self._counts.read()

    def may_be_new(self, now: float) -> bool:
        """True if sockets have come or gone since; `now` in seconds of any monotonic clock."""
        paid_until = max(self._paid_until, now - BURST * PERIOD) + PERIOD
        if paid_until > now:
            return False
        self._paid_until = paid_until
        return self._counts.read() != self._seen

    def close(self) -> None:
        """Free what is held. May be called twice."""
        self._counts.close()
