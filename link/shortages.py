"""What this process is short of: files, memory, ports. And whether one more flow may begin.

Rules: files and ports are short when the system says so. Memory is looked at ahead, as a Python
that has none left fails anywhere, in what keeps the link as well as in what would begin a flow: so
flows leave SPARE_BYTES to the rest. Counterparts: `acceptor` and `opening` refuse by it;
`desktop.api.counters` has the names under which it is told.

Limits: sees a limit of the process (setrlimit(2), RLIMIT_AS) and a system that gives no more than
it has (proc(5), overcommit_memory). Where more was promised than there is, the kernel ends a
process instead, without a word to it.
"""

from __future__ import annotations

import errno
import mmap
from typing import Final

__all__ = ["FLOWS_PER_LOOK", "SPARE_BYTES", "Shortages", "shortages"]

SPARE_BYTES: Final = 4 << 20
"""What is left for all but flows. Only asked for and given back: it is never touched."""
FLOWS_PER_LOOK: Final = 32
"""So many take some hundred KiB; a look costs two system calls."""

_FILES: Final = (errno.EMFILE, errno.ENFILE)
_MEMORY: Final = (errno.ENOMEM, errno.ENOBUFS)


class Shortages:
    """What came of it so far.

    Attributes:
        pauses: how often accepting paused.
        files, memory, ports: connections that were refused for want of these.
    """

    def __init__(self) -> None:
        self.pauses = 0
        self.files = 0
        self.memory = 0
        self.ports = 0
        self._flows_until_look = 0

    def refuse_flow(self) -> bool:
        """True if there is not enough memory for one more flow, which is counted."""
        if self._flows_until_look:
            self._flows_until_look -= 1
            return False
        try:
            mmap.mmap(-1, SPARE_BYTES).close()
        except (OSError, MemoryError):
            self.memory += 1
            return True
        self._flows_until_look = FLOWS_PER_LOOK
        return False

    def note(self, error: OSError) -> None:
        """No connection could be made to a server on this side; count it if something was short."""
        self.files += error.errno in _FILES
        self.memory += error.errno in _MEMORY
        self.ports += error.errno == errno.EADDRNOTAVAIL  # connect(2)


shortages = Shortages()
"""The process's own, as its shortages are."""
