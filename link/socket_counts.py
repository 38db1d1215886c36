"""How many TCP and UDP sockets there are: cheap to ask, and changed by each one that comes or goes.

Rules: standard library. Only Linux tells; elsewhere nothing is had, and nothing raised. Sees the
network namespace of the thread that made it. Equal counts at two times do not prove that nothing
changed, for one may have come as another went; different ones prove that something did.

Limits: counts connections, too. Costs 15 µs, a dump of the listeners (`link.sockdiag`) ten times
that.

Counterpart: `vmagent.watch.watcher`, which then need not dump.
"""

from __future__ import annotations

import os
import re
from typing import Final

__all__ = ["SocketCounts"]

FILES: Final = ("/proc/thread-self/net/sockstat", "/proc/thread-self/net/sockstat6")
"""Lines such as `TCP: inuse 5 orphan 0 tw 0 alloc 6 mem 1` (proc(5)); without IPv6 there is no
second file, and none of them elsewhere than on Linux."""

MOST_BYTES: Final = 1024

_IN_USE: Final = re.compile(rb"^(?:TCP|UDP)6?: inuse (\d+)", re.MULTILINE)


class SocketCounts:
    """Asks. Construction never raises; close it when done."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        for path in FILES if hasattr(os, "pread") else ():
            try:
                self._descriptors.append(os.open(path, os.O_RDONLY))
            except OSError:
                continue  # this kernel does not tell, or knows no IPv6

    def read(self) -> tuple[bytes, ...] | None:
        """The counts, to be compared and nothing else; None where they cannot be had."""
        try:
            texts = [os.pread(each, MOST_BYTES, 0) for each in self._descriptors]
        except OSError:
            return None
        return tuple(_IN_USE.findall(b"".join(texts))) or None

    def close(self) -> None:
        """Free the files. May be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())
