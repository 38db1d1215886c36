"""The event loop on Windows: asyncio's proactor, and beside it what that cannot do.

    pipes, processes, TCP streams      proactor (I/O completion ports)
    add_reader, add_writer, UDP        `selector_thread.py`

Rules: a datagram endpoint is asyncio's selector kind, on the readiness that the threads tell: the
proactor's stops receiving for good after an ICMP error (CPython's gh-127057) and drops empty
datagrams. Signals come by `signal.signal`, and wake the loop (asyncio has no handlers there).

Limits: has run under Wine only; tests put the same parts on a loop of this system, with all that
is in `Readiness`. It uses what is asyncio's own (names that begin with `_`) of CPython 3.11 to
3.14. Counterpart: `loops.py` chooses.
"""

from __future__ import annotations

import asyncio
import signal
from asyncio import selector_events
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import WeakValueDictionary

from desktop.daemon.selector_thread import SelectorThreads

__all__ = ["Readiness", "new_windows_loop"]

SelectorDatagram: Any = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]  # noqa: SLF001


class Readiness:
    """What a loop gets by being of this class, too, before its own: see the module."""

    _threads: SelectorThreads | None = None

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """See `asyncio.loop.add_reader`; sockets only."""
        self._add_reader(_number(fd), callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """See `asyncio.loop.remove_reader`."""
        return self._remove_reader(_number(fd))

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """See `asyncio.loop.add_writer`; sockets only."""
        self._add_writer(_number(fd), callback, *args)

    def remove_writer(self, fd: Any) -> bool:
        """See `asyncio.loop.remove_writer`."""
        return self._remove_writer(_number(fd))

    # What the selector kind of transport asks its loop for.

    def _add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        return self._watch(fd, callback, args, writing=False)

    def _add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        return self._watch(fd, callback, args, writing=True)

    def _remove_reader(self, fd: int) -> bool:
        return self._threads is not None and self._threads.forget(fd, writing=False)

    def _remove_writer(self, fd: int) -> bool:
        return self._threads is not None and self._threads.forget(fd, writing=True)

    def _watch(
        self, fd: int, callback: Callable[..., object], args: tuple[Any, ...], *, writing: bool
    ) -> asyncio.Handle:
        loop: Any = self
        if self._threads is None:
            self._threads = SelectorThreads(loop.call_soon_threadsafe)
        handle = asyncio.Handle(callback, args, loop)
        self._threads.watch(fd, handle, writing=writing)
        return handle

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        loop: Any = self
        if not hasattr(loop, "_transports"):  # the proactor has none
            loop._transports = WeakValueDictionary()  # noqa: SLF001
        return SelectorDatagram(loop, sock, protocol, address, waiter, extra)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """See `asyncio.loop.add_signal_handler`. Raises OSError, ValueError."""
        loop: Any = self

        def tell(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(callback, *args)

        signal.signal(sig, tell)

    def close(self) -> None:
        """See `asyncio.loop.close`."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None
        super().close()  # type: ignore[misc]  # that of the loop


def new_windows_loop() -> asyncio.AbstractEventLoop:
    """A loop for Windows."""
    proactor: Any = getattr(asyncio, "ProactorEventLoop")  # noqa: B009 - it is there only

    class WindowsLoop(Readiness, proactor):  # type: ignore[misc]
        """See the module."""

    return WindowsLoop()


def _number(descriptor: Any) -> int:
    return descriptor if isinstance(descriptor, int) else int(descriptor.fileno())
