"""Windows' event loop, as far as it can be had here: its readiness by threads, on another base.

`ThreadedLoop` serves all sockets by the threads of `desktop/daemon/selector_thread.py`, as the loop
on Windows serves UDP, listeners and streams of the link. `SelectorProactor` stands for the
proactor: a loop whose own wake-up does not go that way.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from desktop.daemon.windows_loop import Readiness

__all__ = ["SelectorProactor", "ThreadedLoop"]


class SelectorProactor(asyncio.SelectorEventLoop):
    """A selector loop that wakes itself by its own selector, whatever comes before it."""

    def _make_self_pipe(self) -> None:
        loop: Any = self
        loop._ssock, loop._csock = socket.socketpair()
        loop._ssock.setblocking(False)
        loop._csock.setblocking(False)
        loop._internal_fds += 1
        asyncio.SelectorEventLoop._add_reader(self, loop._ssock.fileno(), loop._read_from_self)  # type: ignore[attr-defined]

    def _close_self_pipe(self) -> None:
        loop: Any = self
        asyncio.SelectorEventLoop._remove_reader(self, loop._ssock.fileno())  # type: ignore[attr-defined]
        for each in ("_ssock", "_csock"):
            getattr(loop, each).close()
            setattr(loop, each, None)
        loop._internal_fds -= 1


class ThreadedLoop(Readiness, SelectorProactor):  # type: ignore[misc]
    """See the module. Its first thread is there from the start: tests count descriptors."""

    def __init__(self) -> None:
        super().__init__()
        one, other = socket.socketpair()
        with one, other:
            self.add_reader(one, int)
            self.remove_reader(one)
