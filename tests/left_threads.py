"""The end of a run in which a test has left threads that do not end: nobody waits for them.

The interpreter does, before it ends, and so a test that failed would keep the run of all from
ending. Counterpart: `conftest.py`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

__all__ = ["end_despite_threads"]

PATIENCE_SECONDS: Final = 10.0
"""For all of them: most are about to end."""


def end_despite_threads(status: int) -> None:
    """End this process with that exit status if there are such threads, and name them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = [each for each in threading.enumerate() if _is_waited_for(each)]
    for each in left:
        each.join(max(0.0, deadline - time.monotonic()))
    names = ", ".join(each.name for each in left if each.is_alive())
    if names:
        sys.stdout.flush()
        sys.stderr.write(f"\nnot waited for, as they do not end: the threads {names}\n")
        sys.stderr.flush()
        os._exit(status)


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.current_thread()
