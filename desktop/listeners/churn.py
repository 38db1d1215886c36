"""Are so many connections opened on this computer that to be told of each one's end is dear?

For whoever listens to events of destroyed sockets the kernel makes a message of each connection
that ends, in a thread of its own, and a filter throws most away. On two busy cores that costs any
program here up to a tenth of its connections a second. So while there are many, the events are done
without: sockets are counted five times a second anyway (`desktop.daemon.mirroring`).

Rules: `now` is in seconds of any monotonic clock. It takes MANY to begin, and CALM_SECONDS of less
than FEW to end. Never raises; where the kernel does not tell, there is no churn.

Limits: Linux; sees the network namespace of the thread that made it. Counts TCP, not UDP. A look
takes 13 µs.

Counterpart: `linux.py`, which asks with each scan.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final

__all__ = ["CALM_SECONDS", "FEW", "LEAST_SECONDS", "MANY", "Churn"]

COUNTERS: Final = "/proc/thread-self/net/snmp"
"""Two lines of each protocol, names and numbers (proc(5))."""
MOST_BYTES: Final = 4096
MANY: Final = 1000
"""Connections a second, those that come and those that go out; one on loopback is both. Their
messages take half a per cent of a core."""
FEW: Final = 250
CALM_SECONDS: Final = 2.0
LEAST_SECONDS: Final = 0.05
"""Over which a rate means something."""

_OPENED: Final = re.compile(rb"^Tcp:(?: -?\d+){4} (\d+) (\d+)", re.MULTILINE)
"""ActiveOpens and PassiveOpens, behind four other numbers (RFC 4022)."""


class Churn:
    """Says whether there is. Close it when done.

    `path` is where the kernel counts.
    """

    def __init__(self, path: str = COUNTERS) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY)
        self._is_high = False
        self._last: tuple[float, int] | None = None
        self._busy_until = 0.0

    def is_high(self, now: float) -> bool:
        """True while there is much of it, judged by what came since the last look."""
        last, count = self._last, self._count()
        if count is None:
            return False
        if last is None:
            self._last = now, count
        elif now - last[0] >= LEAST_SECONDS:
            self._last = now, count
            self._judge((count - last[1]) / (now - last[0]), now)
        return self._is_high

    def close(self) -> None:
        """Free the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _judge(self, rate: float, now: float) -> None:
        if rate >= FEW:
            self._busy_until = now + CALM_SECONDS
        self._is_high = rate >= MANY or (self._is_high and now < self._busy_until)

    def _count(self) -> int | None:
        """Connections opened so far."""
        if self._descriptor < 0:
            return None
        try:
            found = _OPENED.search(os.pread(self._descriptor, MOST_BYTES, 0))
        except OSError:
            return None
        return int(found[1]) + int(found[2]) if found else None
