"""Calls that may hang for good, in threads that nobody waits for when the command ends.

Limit: for the command line only: the thread of a call that hangs is left to the process's end.
Counterpart: `desktop/threads.py` has those of the daemon, which are always seen to their end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_thread"]

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """What `work` gives or raises. Cancelled, it goes on by itself and is not heard."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Result] = loop.create_future()

    def tell(heard: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(heard)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            reason = error
            tell(lambda: None if answer.done() else answer.set_exception(reason))
        else:
            tell(lambda: None if answer.done() else answer.set_result(result))

    threading.Thread(target=run, name="look of the doctor", daemon=True).start()
    return await answer
