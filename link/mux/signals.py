"""When a descriptor of the pump has bytes or room: told once, until one has waited in vain again.

    watch(descriptor, handler) ─▶ handler(mask) once there is something to read
    await_bytes(descriptor)    after a read that found less than it asked for
    await_room(descriptor)     after a write that was not taken whole

Rules: as of edge-triggered readiness: once an end is told (ENDING), read up to it. `forget` just
before a descriptor is closed, `unwatch` if others may have the same open file.

Limits: EpollSignals needs Linux; LoopSignals runs on any loop with add_reader, does not tell that
a peer is gone altogether, and costs two calls of the loop for each piece of news.
Counterpart: `link.readiness`.
"""

from __future__ import annotations

import abc
import asyncio
import sys
from collections.abc import Callable
from typing import Final

from link.loop import open_epoll_readiness
from link.readiness import READABLE, WRITABLE

__all__ = ["FAILED", "GONE", "EpollSignals", "LoopSignals", "Signals", "open_signals"]

FAILED: Final = 0x008
"""EPOLLERR, linux/eventpoll.h: of a socket pair, the peer was closed before it had read all."""
GONE: Final = FAILED | 0x010
"""EPOLLERR | EPOLLHUP: the peer neither reads nor writes any more."""

Handler = Callable[[int], None]


class Signals(abc.ABC):
    """See the module. Belongs to the loop it was made in."""

    @abc.abstractmethod
    def watch(self, descriptor: int, handler: Handler) -> None:
        """Begin to tell of bytes. Raises OSError."""

    @abc.abstractmethod
    def await_bytes(self, descriptor: int) -> None:
        """Tell of the next bytes."""

    @abc.abstractmethod
    def await_room(self, descriptor: int) -> None:
        """Tell of room."""

    @abc.abstractmethod
    def forget(self, descriptor: int) -> None:
        """Tell nothing more: it is closed at once. May be called twice."""

    @abc.abstractmethod
    def unwatch(self, descriptor: int) -> None:
        """Tell nothing more: it is watched, and stays open elsewhere."""

    @abc.abstractmethod
    def later(self, work: Callable[[], None]) -> None:
        """Do `work` once those that have news now had their turn."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free what this holds. May be called twice."""


class EpollSignals(Signals):
    """By the epoll of the running loop, or one nested in it."""

    def __init__(self) -> None:
        self._readiness, self._close = open_epoll_readiness()

    def watch(self, descriptor: int, handler: Handler) -> None:
        """See `Signals.watch`."""
        self._readiness.watch(descriptor, handler)

    def await_bytes(self, descriptor: int) -> None:
        """See `Signals.await_bytes`; the kernel does so by itself."""

    def await_room(self, descriptor: int) -> None:
        """See `Signals.await_room`."""
        self._readiness.watch_room(descriptor)

    def forget(self, descriptor: int) -> None:
        """See `Signals.forget`."""
        self._readiness.forget(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """See `Signals.unwatch`."""
        self._readiness.unwatch(descriptor)

    def later(self, work: Callable[[], None]) -> None:
        """See `Signals.later`."""
        self._readiness.later(work)

    def close(self) -> None:
        """See `Signals.close`."""
        self._close()


class LoopSignals(Signals):
    """By the loop's own readers and writers, each of which tells once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[int, Handler] = {}

    def watch(self, descriptor: int, handler: Handler) -> None:
        """See `Signals.watch`."""
        self._handlers[descriptor] = handler
        self.await_bytes(descriptor)

    def await_bytes(self, descriptor: int) -> None:
        """See `Signals.await_bytes`."""
        self._loop.add_reader(descriptor, self._readable, descriptor)

    def await_room(self, descriptor: int) -> None:
        """See `Signals.await_room`."""
        self._loop.add_writer(descriptor, self._writable, descriptor)

    def forget(self, descriptor: int) -> None:
        """See `Signals.forget`."""
        if self._handlers.pop(descriptor, None) is not None:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """See `Signals.unwatch`."""
        self.forget(descriptor)

    def later(self, work: Callable[[], None]) -> None:
        """See `Signals.later`."""
        self._loop.call_soon(work)

    def close(self) -> None:
        """See `Signals.close`."""
        for descriptor in list(self._handlers):
            self.forget(descriptor)

    def _readable(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        self._handlers[descriptor](READABLE)

    def _writable(self, descriptor: int) -> None:
        self._loop.remove_writer(descriptor)
        self._handlers[descriptor](WRITABLE)


def open_signals(platform: str = sys.platform) -> Signals:
    """The best of the platform. Call it inside the running loop."""
    return EpollSignals() if platform == "linux" else LoopSignals()
