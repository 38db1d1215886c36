"""The event loop of the data plane: what is watched by `readiness` is served without a detour.

    DirectLoop ─▶ _Selector.select ─▶ EpollReadiness.serve ─▶ handlers of sockets
                       └─ returns to asyncio only for what asyncio has to do

An asyncio loop in all it does; but of the work between two events of a socket, most is asyncio's,
and none of it is needed for that. On other loops the same epoll is nested, at some cost.

Rules: handlers run while the loop selects. It comes back to asyncio when one of asyncio's own
descriptors has news, when a handler has called the loop, and when a timer is due. News keeps its
order: what came after asyncio's own is served once that has been read, and what was called for
then has been done. So a port is open before its number, which came by another way, is passed on.

Limits: Linux; Python 3.9.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import select
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from link.readiness import READABLE, WRITABLE, EpollReadiness, NestedReadiness, report_error

__all__ = ["DirectLoop", "open_epoll_readiness", "run"]

_Result = TypeVar("_Result")


class _Selector(selectors.BaseSelector):
    """One epoll for both: what asyncio registers here, and what is watched by `readiness`."""

    def __init__(self, readiness: EpollReadiness) -> None:
        self._readiness = readiness
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._has_passed = False
        self.is_wanted = False
        readiness.before = self._keys

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See `BaseSelector.register`."""
        descriptor = _descriptor(fileobj)
        self._readiness.epoll.register(descriptor, _mask(events))
        key = selectors.SelectorKey(fileobj, descriptor, events, data)
        self._keys[descriptor] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """See `BaseSelector.unregister`."""
        descriptor = _descriptor(fileobj)
        key = self._keys.pop(descriptor)
        with contextlib.suppress(OSError):  # closed already
            self._readiness.epoll.unregister(descriptor)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See `BaseSelector.modify`."""
        descriptor = _descriptor(fileobj)
        if self._keys[descriptor].events != events:
            self._readiness.epoll.modify(descriptor, _mask(events))
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def get_map(self) -> Any:
        """See `BaseSelector.get_map`; asyncio asks with descriptors only."""
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `BaseSelector.select`. Serves the data plane meanwhile."""
        self.is_wanted = False
        self._has_passed = timeout == 0 and not self._has_passed
        if self._has_passed:
            return []  # asyncio has something to do at once
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        wait = -1.0 if timeout is None else max(timeout, 0.0)
        while True:
            others = self._readiness.serve(0 if self._readiness.put_off else wait)
            if others or self.is_wanted:
                break
            if timeout is not None:
                wait = deadline - time.monotonic()
                if wait <= 0:
                    break
        return [(self._keys[fd], _events(mask)) for fd, mask in others if fd in self._keys]

    def close(self) -> None:
        """See `BaseSelector.close`."""
        self._keys.clear()
        self._readiness.close()


def _descriptor(of: Any) -> int:
    return of if isinstance(of, int) else int(of.fileno())


def _mask(events: int) -> int:
    readable = READABLE if events & selectors.EVENT_READ else 0
    return readable | (WRITABLE if events & selectors.EVENT_WRITE else 0)


def _events(mask: int) -> int:
    """An error is news for either, as asyncio expects."""
    read = selectors.EVENT_READ if mask & ~select.EPOLLOUT else 0
    return read | (selectors.EVENT_WRITE if mask & ~select.EPOLLIN else 0)


class _Callbacks:
    """Those of one descriptor, which is watched for as long as there are any."""

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        self.reader: Callable[[], object] | None = None
        self.writer: Callable[[], object] | None = None

    @property
    def events(self) -> int:
        """What to watch for."""
        return (READABLE if self.reader else 0) | (WRITABLE if self.writer else 0)

    def on_event(self, mask: int) -> None:
        """Call those concerned; an error concerns both."""
        if mask & ~WRITABLE and self.reader is not None:
            self.reader()
        if mask & ~READABLE and self.writer is not None:
            self.writer()


class DirectLoop(asyncio.SelectorEventLoop):
    """See the module. `readiness` is open for as long as the loop is."""

    def __init__(self) -> None:
        self.readiness = EpollReadiness(self._report)
        self._callbacks: dict[int, _Callbacks] = {}
        self._direct = _Selector(self.readiness)
        super().__init__(self._direct)

    def add_reader(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> None:
        """See `loop.add_reader`."""
        self._change(fd).reader = functools.partial(callback, *args) if args else callback
        self._watch(fd)

    def add_writer(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., object], *args: Any
    ) -> None:
        """See `loop.add_writer`."""
        self._change(fd).writer = functools.partial(callback, *args) if args else callback
        self._watch(fd)

    def remove_reader(self, fd: Any) -> bool:
        """See `loop.remove_reader`."""
        callbacks = self._callbacks.get(_descriptor(fd))
        if callbacks is None or callbacks.reader is None:
            return super().remove_reader(fd)  # asyncio itself has added it another way
        callbacks.reader = None
        self._watch(fd)
        return True

    def remove_writer(self, fd: Any) -> bool:
        """See `loop.remove_writer`."""
        callbacks = self._callbacks.get(_descriptor(fd))
        if callbacks is None or callbacks.writer is None:
            return super().remove_writer(fd)  # asyncio itself has added it another way
        callbacks.writer = None
        self._watch(fd)
        return True

    def call_soon(self, *arguments: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        """See `loop.call_soon`."""
        self._direct.is_wanted = True
        return super().call_soon(*arguments, **options)

    def call_at(self, *arguments: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        """See `loop.call_at`."""
        self._direct.is_wanted = True
        return super().call_at(*arguments, **options)

    def _change(self, fd: Any) -> _Callbacks:
        return self._callbacks.setdefault(_descriptor(fd), _Callbacks())

    def _watch(self, fd: Any) -> None:
        descriptor = _descriptor(fd)
        callbacks = self._callbacks[descriptor]
        self.readiness.watch_level(descriptor, callbacks.on_event, callbacks.events)
        if not callbacks.events:
            del self._callbacks[descriptor]

    def _report(self, error: Exception) -> None:
        report_error(self, error)


def open_epoll_readiness() -> tuple[EpollReadiness, Callable[[], None]]:
    """That of the running loop if it has one, or else one nested in it; and what ends its use."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, DirectLoop):
        return loop.readiness, _keep
    nested = NestedReadiness()
    return nested, nested.close


def _keep() -> None:
    """It is the loop's."""


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """`asyncio.run` on a `DirectLoop`."""
    loop = DirectLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_all(loop: DirectLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
