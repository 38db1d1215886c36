"""Readiness of sockets for an event loop that has none: `select` in threads, one after another.

    add_reader ─▶ SelectorThreads ─▶ thread: select ─▶ loop: call-backs ─▶ thread: select …

What Windows' proactor loop lacks, and all the link's sockets use: `add_reader` and `add_writer`,
and by them datagrams without the proactor's faults (CPython's gh-127057). Rules: level-triggered,
as asyncio's own; a thread looks again only when the loop has called back what it told last, so
nothing spins. What was removed is not looked at any more, and may be closed. A thread has
MOST_SOCKETS at most, as `select` has no more (Windows: 512, FD_SETSIZE of CPython's own);
there are as many threads as that takes. Call-backs run in the loop's thread only, and none after
`remove_*`. What is ready is told by its call-back, not by its number, which may be another socket's
by the time the loop hears of it.

Limits: a change of what is watched wakes the thread, and a removal waits for that: some ten
microseconds.
Counterpart: `windows_loop.py`.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["MOST_SOCKETS", "SelectorThreads"]

MOST_SOCKETS: Final = 500
"""Of one thread; its own waking socket besides."""
WAKE_BYTES: Final = 4096
LOOK_SECONDS: Final = 1.0
"""Most that a removal waits for a thread, which has been woken."""

log = logging.getLogger(__name__)

_Sides = dict[int, asyncio.Handle]


class SelectorThreads:
    """See the module. Owned by a loop, and used in its thread; `close` it before the loop."""

    def __init__(
        self, call_soon_threadsafe: Callable[..., object], most: int = MOST_SOCKETS
    ) -> None:
        self._call = call_soon_threadsafe
        self._most = most
        self._threads: list[_Thread] = []
        self._of: dict[int, _Thread] = {}

    @property
    def count(self) -> int:
        """Threads there are."""
        return len(self._threads)

    def watch(self, descriptor: int, handle: asyncio.Handle, *, writing: bool) -> None:
        """Call `handle` whenever the socket can be read from, or written to, from now on."""
        thread = self._of.get(descriptor)
        if thread is None:
            thread = next((each for each in self._threads if each.size < self._most), None)
            if thread is None:
                thread = _Thread(self._call, f"select {len(self._threads)}")
                self._threads.append(thread)
            self._of[descriptor] = thread
        thread.watch(descriptor, handle, writing=writing)

    def forget(self, descriptor: int, *, writing: bool) -> bool:
        """Call no more; False if it was not watched so."""
        thread = self._of.get(descriptor)
        if thread is None:
            return False
        was_watched = thread.forget(descriptor, writing=writing)
        if not thread.watches(descriptor):
            del self._of[descriptor]
        return was_watched

    def close(self) -> None:
        """End the threads. May be called twice."""
        for thread in self._threads:
            thread.close()
        self._threads.clear()
        self._of.clear()


class _Thread:
    """One thread. All but `_run` and what it calls is for the loop's."""

    def __init__(self, call: Callable[..., object], name: str) -> None:
        self._call = call
        self._lock = threading.Condition()
        self._readers: _Sides = {}
        self._writers: _Sides = {}
        self._is_answered = True
        self._is_looking = False
        self._looks = 0
        self._is_closed = False
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """Sockets that it watches."""
        return len(self._readers.keys() | self._writers.keys())

    def watches(self, descriptor: int) -> bool:
        return descriptor in self._readers or descriptor in self._writers

    def watch(self, descriptor: int, handle: asyncio.Handle, *, writing: bool) -> None:
        with self._lock:
            sides = self._writers if writing else self._readers
            before = sides.get(descriptor)
            sides[descriptor] = handle
        if before is not None:
            before.cancel()
        else:
            self._wake()

    def forget(self, descriptor: int, *, writing: bool) -> bool:
        with self._lock:
            handle = (self._writers if writing else self._readers).pop(descriptor, None)
            look = self._looks if self._is_looking else None
        if handle is None:
            return False
        handle.cancel()
        if look is not None:
            self._end_look(look)
        return True

    def _end_look(self, look: int) -> None:
        """While a socket is looked at, the system keeps it, and its port, though it is closed."""
        self._wake()
        with self._lock:
            self._lock.wait_for(lambda: not self._is_looking or self._looks > look, LOOK_SECONDS)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._lock.notify()
        self._wake()
        self._thread.join()
        self._waker.close()
        self._woken.close()

    def _wake(self) -> None:
        try:
            self._waker.send(b"x")
        except BlockingIOError:
            return  # it is being woken already

    def _answer(self, ready: list[asyncio.Handle]) -> None:
        """In the loop: call back what is still watched, then let the thread look again."""
        try:
            for handle in ready:
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - as every loop of asyncio does
        finally:
            with self._lock:
                self._is_answered = True
                self._lock.notify()

    # ---- in the thread

    def _run(self) -> None:
        while (sides := self._next()) is not None:
            ready = self._select(*sides)
            with self._lock:
                self._is_looking = False
                self._lock.notify()
            if not ready:
                continue
            self._is_answered = False
            try:
                self._call(self._answer, ready)
            except RuntimeError:
                return  # the loop is closed

    def _next(self) -> tuple[_Sides, _Sides] | None:
        """What to look at, once the loop has answered; None at the end."""
        with self._lock:
            self._lock.wait_for(lambda: self._is_answered or self._is_closed)
            self._is_looking = not self._is_closed
            self._looks += 1
            return None if self._is_closed else (self._readers.copy(), self._writers.copy())

    def _select(self, readers: _Sides, writers: _Sides) -> list[asyncio.Handle]:
        """The call-backs of those that are ready."""
        woken = self._woken.fileno()
        try:
            # Windows tells of a connect that has failed as an exception (WinSock's select).
            readable, writable, failed = select.select([*readers, woken], [*writers], [*writers])
        except (OSError, ValueError):
            self._drop_closed(self._readers, readers)
            self._drop_closed(self._writers, writers)
            return []
        if woken in readable:
            readable.remove(woken)
            self._drain()
        told = [readers[each] for each in readable]
        return told + [writers[each] for each in {*writable, *failed}]

    def _drain(self) -> None:
        try:
            while len(self._woken.recv(WAKE_BYTES)) == WAKE_BYTES:
                pass
        except BlockingIOError:
            return

    def _drop_closed(self, side: _Sides, watched: _Sides) -> None:
        """A socket was closed while it was watched: look at it no more."""
        for descriptor, handle in watched.items():
            try:
                select.select([descriptor], [], [], 0)
            except (OSError, ValueError) as error:
                with self._lock:
                    is_there = side.get(descriptor) is handle
                    if is_there:
                        del side[descriptor]
                if is_there:
                    log.warning("socket %d was closed while watched: %s", descriptor, error)
