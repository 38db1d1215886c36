"""Event loops for tests, as far as this system has them.

Rules: asyncio's own, where it watches no sockets, gives way to the daemon's, by `asyncio.run` too:
a test that says nothing about its loop runs on one that can do what the daemon's can.
Counterparts: `desktop/daemon/loops.py`; `conftest.py`, which calls `watch_sockets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from desktop.daemon.loops import new_event_loop
from tests.capabilities import LINUX_KERNEL, UVLOOP

__all__ = ["EVERY_LOOP", "LOOPS", "new_other_loop", "watch_sockets"]


def new_other_loop() -> asyncio.AbstractEventLoop:
    """A loop whose handles are not asyncio's: uvloop's. Where it is not made, the daemon's."""
    if not UVLOOP.is_there:
        return new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def _direct() -> asyncio.AbstractEventLoop:
    from link.loop import DirectLoop

    return DirectLoop()


LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    **({"uvloop": new_other_loop} if UVLOOP.is_there else {}),
}
"""The loops that flows may run on here, by name."""

EVERY_LOOP: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    **LOOPS,
    **({"direct": _direct} if LINUX_KERNEL.is_there else {}),
}
"""The same, with the daemon's own of Linux."""


def watch_sockets() -> None:
    """From now on `asyncio.run` makes loops that watch sockets: see the module."""
    proactor: Any = getattr(asyncio, "WindowsProactorEventLoopPolicy", None)
    if proactor is None:
        return

    class Policy(proactor):  # type: ignore[misc]
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return new_event_loop()

    asyncio.set_event_loop_policy(Policy())
