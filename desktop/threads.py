"""Blocking calls of libraries, each in a thread of its own, that the event loop need not wait for.

Rules: whoever has a `Threads` ends what its calls wait for (a connection, a file) and then calls
`aclose`, after which no thread is left. A call whose caller is cancelled goes on by itself; what it
then gives is undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Threads"]

_Result = TypeVar("_Result")


class Threads:
    """See the module."""

    def __init__(self) -> None:
        self._running: dict[Future[Any], ThreadPoolExecutor] = {}

    async def run(
        self,
        name: str,
        work: Callable[[], _Result],
        undo: Callable[[_Result], object] | None = None,
    ) -> _Result:
        """What `work` gives or raises; if cancelled, `undo` is given it, in some thread."""
        self._join_ended()
        executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        future = executor.submit(work)
        executor.shutdown(wait=False)  # it takes no other work, and ends with this
        self._running[future] = executor
        waiter = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiter)
        except asyncio.CancelledError:
            waiter.add_done_callback(_heed)
            if undo is not None:
                future.add_done_callback(lambda done: _undo(done, undo))
            raise

    async def aclose(self) -> None:
        """Wait until every call has ended, whatever came of it. May be called twice."""
        while self._running:
            waiters = [asyncio.wrap_future(future) for future in self._running]
            await asyncio.wait(waiters)
            for waiter in waiters:
                _heed(waiter)
            self._join_ended()

    def _join_ended(self) -> None:
        """A thread ends a moment after its call: until then it is one of ours."""
        for future in [each for each in self._running if each.done()]:
            self._running.pop(future).shutdown()


def _heed(future: asyncio.Future[Any]) -> None:
    """Take notice of an error that nobody is left for."""
    if not future.cancelled():
        future.exception()


def _undo(future: Future[_Result], undo: Callable[[_Result], object]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())
