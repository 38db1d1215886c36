"""Which sockets have news: one edge-triggered epoll for the whole data plane, nested in the loop.

    event loop ── one descriptor ──▶ EpollReadiness ─▶ handler(mask) of each socket that has news
                                                    ─▶ one piece of `later` work, then looks again

A socket is watched from its first use to its end by whoever has it at the moment: to hand it on
costs no system call, and a thousand idle ones wake nobody.

Rules: edge-triggered, so whoever takes a socket over, or reads less than there is, tries again by
itself. `forget` just before a socket is closed, `unwatch` before it goes to somebody who watches
it otherwise; else its number is taken for that of another socket. What a handler raises goes to
the loop's exception handler, and the others are served all the same. Work that is put off is done
piece by piece with a look at the sockets in between: what is small overtakes what is large.

Limits: EpollReadiness needs Linux; LoopReadiness runs on any loop with add_reader, is
level-triggered and tells of reading only. Counterparts: `relay`, `pool`, `opening`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable, Container
from typing import Final

__all__ = [
    "ENDING",
    "READABLE",
    "SHORT_TURNS",
    "WRITABLE",
    "EpollReadiness",
    "LoopReadiness",
    "NestedReadiness",
    "Readiness",
    "report_error",
]

READABLE: Final = 0x001
"""EPOLLIN, linux/eventpoll.h; the masks of all platforms are made of these."""
WRITABLE: Final = 0x004
"""EPOLLOUT"""
ENDING: Final = 0x008 | 0x010 | 0x2000
"""EPOLLERR | EPOLLHUP | EPOLLRDHUP: the peer has said its last, or is gone."""

EVENTS_PER_LOOK: Final = 256
LOOKS_PER_TURN: Final = 16
"""Pieces of `later` work in a row before the loop's other business has its turn."""
SHORT_TURNS: Final = 256
"""Pieces of `later` work that are to be short after a small message: some 20 ms of bulk."""
_EVENTS: Final = READABLE | 0x2000 | 1 << 31
"""EPOLLIN | EPOLLRDHUP | EPOLLET; errors are always told."""

Handler = Callable[[int], None]


class Readiness(abc.ABC):
    """Tells who has a socket that there is news. Belongs to the loop it was made in.

    Attributes:
        is_edge_triggered: it tells once; else for as long as there is something.
    """

    is_edge_triggered = False

    @abc.abstractmethod
    def watch(self, descriptor: int, handler: Handler) -> None:
        """Call `handler` with the mask of each news from now on. Raises OSError."""

    @abc.abstractmethod
    def rearm(self, descriptor: int) -> None:
        """Tell of what is there already once more, as to one who has not heard of it."""

    @abc.abstractmethod
    def unwatch(self, descriptor: int) -> None:
        """Tell nobody any more: somebody else watches it from now on."""

    @abc.abstractmethod
    def forget(self, descriptor: int) -> None:
        """Tell nobody any more: it is closed at once."""


class LoopReadiness(Readiness):
    """By the loop's own readers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def watch(self, descriptor: int, handler: Handler) -> None:
        """See `Readiness.watch`."""
        self._loop.add_reader(descriptor, handler, READABLE)

    def rearm(self, descriptor: int) -> None:
        """See `Readiness.rearm`; the loop does so by itself."""

    def unwatch(self, descriptor: int) -> None:
        """See `Readiness.unwatch`."""
        self._loop.remove_reader(descriptor)

    def forget(self, descriptor: int) -> None:
        """See `Readiness.forget`."""
        self._loop.remove_reader(descriptor)


class EpollReadiness(Readiness):
    """By an epoll, of which whoever made this takes care: `serve` it often, `close` it at last.

    `report` is told what a handler raised.

    Attributes:
        put_off: what is to be done `later`.
        short_turns: so many more pieces of that are to be short: whoever takes a small message sets
            it to SHORT_TURNS, whoever does a piece counts down.
        before: descriptors that others watch by this epoll and that keep their place: who has news
            after them is served only once their news has been taken.
    """

    is_edge_triggered = True

    def __init__(self, report: Callable[[Exception], None]) -> None:
        self.epoll = select.epoll()
        self._report = report
        self._handlers: dict[int, Handler] = {}
        self._with_room: set[int] = set()
        self._behind: list[tuple[int, int]] = []
        self.short_turns = 0
        self.before: Container[int] = ()
        self.put_off: deque[Callable[[], None]] = deque()

    def watch(self, descriptor: int, handler: Handler) -> None:
        """See `Readiness.watch`. The first time it also tells of what is there already."""
        if descriptor not in self._handlers:
            self.epoll.register(descriptor, _EVENTS)
        self._handlers[descriptor] = handler

    def watch_room(self, descriptor: int) -> None:
        """Tell of room to write as well, for as long as this socket is watched."""
        if descriptor not in self._with_room:
            self.epoll.modify(descriptor, _EVENTS | WRITABLE)
            self._with_room.add(descriptor)

    def watch_level(self, descriptor: int, handler: Handler, events: int) -> None:
        """Call `handler` for as long as there is what `events` says; 0 ends it."""
        if not events:
            self.forget(descriptor)
            with contextlib.suppress(OSError):  # closed already
                self.epoll.unregister(descriptor)
        elif descriptor in self._handlers:
            self.epoll.modify(descriptor, events)
        else:
            self.epoll.register(descriptor, events)
            self._handlers[descriptor] = handler

    def rearm(self, descriptor: int) -> None:
        """See `Readiness.rearm`."""
        room = WRITABLE if descriptor in self._with_room else 0
        self.epoll.modify(descriptor, _EVENTS | room)

    def unwatch(self, descriptor: int) -> None:
        """See `Readiness.unwatch`."""
        self.forget(descriptor)
        self.epoll.unregister(descriptor)

    def forget(self, descriptor: int) -> None:
        """See `Readiness.forget`."""
        self._handlers.pop(descriptor, None)
        self._with_room.discard(descriptor)
        if self._behind:
            self._behind = [each for each in self._behind if each[0] != descriptor]

    def later(self, work: Callable[[], None]) -> None:
        """Do `work` once those that have news now, and what was put off before, had their turn."""
        self.put_off.append(work)

    def serve(self, seconds: float) -> list[tuple[int, int]]:
        """Serve those that have news, waiting for some for so long (-1: for ever).

        Afterwards do one piece of the work put off. What has come of descriptors that others watch
        by this epoll is for the caller.
        """
        others = []
        news, self._behind = self._behind or self.epoll.poll(seconds, EVENTS_PER_LOOK), []
        for descriptor, mask in news:
            handler = self._handlers.get(descriptor)
            if handler is None:
                others.append((descriptor, mask))
                if descriptor in self.before:
                    rest = news[news.index((descriptor, mask)) + 1 :]
                    self._behind = [each for each in rest if self._is_known(each[0])]
                    return others
                continue
            try:
                handler(mask)
            except Exception as error:  # noqa: BLE001 - as a loop does with what it calls
                self._report(error)
        if self.put_off:
            try:
                self.put_off.popleft()()
            except Exception as error:  # noqa: BLE001 - as a loop does with what it calls
                self._report(error)
        return others

    def close(self) -> None:
        """Watch nothing any more. May be called twice."""
        self.epoll.close()

    def _is_known(self, descriptor: int) -> bool:
        """Somebody is to hear of it: it has not been closed just now."""
        return descriptor in self._handlers or descriptor in self.before


class NestedReadiness(EpollReadiness):
    """By an epoll of its own, which the running loop watches. `close` before dropping it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(lambda error: report_error(self._loop, error))
        self._is_turning = False
        self._loop.add_reader(self.epoll.fileno(), self._turn)

    def later(self, work: Callable[[], None]) -> None:
        """See `EpollReadiness.later`."""
        super().later(work)
        self._turn_again()

    def close(self) -> None:
        """See `EpollReadiness.close`."""
        if not self.epoll.closed:
            self._loop.remove_reader(self.epoll.fileno())
        super().close()

    def _turn(self) -> None:
        self._is_turning = True
        for _ in range(LOOKS_PER_TURN):
            if self.epoll.closed:
                return
            self.serve(0)
            if not self.put_off:
                break
        self._is_turning = False
        if self.put_off:
            self._turn_again()

    def _turn_again(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            self._loop.call_soon(self._turn)


def report_error(loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    """Tell a loop what a handler raised, as it is told by what it calls itself."""
    loop.call_exception_handler({"message": "serving a socket failed", "exception": error})
