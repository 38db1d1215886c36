"""Who reads our output, on Windows: nothing tells but a write that fails, so it is not waited for.

Limits: `| head` ends a command with its next line there. Counterpart: `reader.py`.
"""

from __future__ import annotations

import time

from desktop.api.stream import Stream

__all__ = ["wait"]


def wait(_output: int, stream: Stream | None, seconds: float | None) -> None:
    """See `reader.ReaderSystem.wait`: whoever reads the stream then waits for it."""
    if stream is None and seconds is not None:
        time.sleep(seconds)
