"""The event loop of the daemon: chosen once, here and nowhere else.

Rules: Linux gets the loop of the data plane, which serves sockets without a detour through asyncio
(`link/loop.py`). uvloop, with the same epoll nested in it, takes the daemon a quarter more CPU time
for a connection and a fifth more for a round trip (193 against 154 µs and 44 against 35 µs, by
/proc/PID/schedstat, under the load program of `tests/bench`). uvloop serves all other POSIX
systems, where flows are pairs of protocols, and Windows has asyncio's own, with what that lacks
(`windows_loop.py`).
"""

from __future__ import annotations

import asyncio
import sys

__all__ = ["new_event_loop"]


def new_event_loop(platform: str = sys.platform) -> asyncio.AbstractEventLoop:
    """A loop for the daemon, which whoever asks closes."""
    if platform == "linux":
        from link.loop import DirectLoop

        return DirectLoop()
    if platform == "win32":
        from desktop.daemon.windows_loop import new_windows_loop

        return new_windows_loop()
    import uvloop

    return uvloop.new_event_loop()
