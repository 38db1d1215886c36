"""The control API's server: who gets in, how many, and the end of it all.

Rules: only the user who runs the daemon, and root (the kernel says who connected). Where there is
no room for one more, the client goes that has asked for nothing for longest; of those turned away
only so many are told why. All tasks are the server's, and have ended when `close` returns. A client
that goes away cancels what it asked for, except a shutdown, which belongs to the server and happens
once.
Counterparts: `connection.py` talks with one client; `client.py` is the other end.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Final, Self

from desktop.api.backend import Backend, Progress
from desktop.api.connection import Connection, Limits
from desktop.api.messages import MAX_LINE
from desktop.api.place.interface import Place
from desktop.api.place.select import open_place
from desktop.errors import SamehostError

__all__ = ["ApiServer"]

CLOSE_SECONDS: Final = 2.0
"""Time in which the answer to `shutdown` is delivered before all connections end."""

MOST_TOLD: Final = 64
"""Clients that are being told at one time that they are not served."""

_log = logging.getLogger(__name__)


class ApiServer:
    """Serves `backend` where `path` says (`place.py`). An asynchronous context manager."""

    def __init__(self, path: Path, backend: Backend, limits: Limits | None = None) -> None:
        self._path = path
        self._backend = backend
        self._limits = limits or Limits()
        self._place: Place | None = None
        self._is_closed = False
        self._clients: dict[asyncio.Task[None], Connection] = {}
        self._turned_away: set[asyncio.Task[None]] = set()
        self._shutdown: asyncio.Task[None] | None = None
        self._shutdown_requests: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen. Raises ConflictError, PermissionDeniedError, UsageError or SamehostError."""
        before, self._place = self._place, open_place(self._path)
        try:
            await self._place.open(self._connected, MAX_LINE - 2)  # a line less its first byte
        except BaseException:
            self._place = before
            raise

    @property
    def is_in_place(self) -> bool:
        """True while its socket file is where clients look for it."""
        return self._place is not None and self._place.is_in_place

    async def renew(self) -> bool:
        """Listen anew if somebody removed the socket file; True if so. Raises as `start`.

        Whoever is connected stays so.
        """
        before = self._place
        if before is None or self.is_in_place:
            return False
        await self.start()
        before.leave(is_replaced=True)
        return True

    async def close(self) -> None:
        """Answer a shutdown that is over, end all connections, remove the socket file.

        Not for use within a backend's method. May be called twice.
        """
        if self._place is None:
            return
        place, self._place = self._place, None
        self._is_closed = True
        place.leave()
        await self._deliver_shutdown()
        tasks = [*self._clients, *self._turned_away]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await place.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.close()
            return
        connection = Connection(reader, writer, self._backend, self._shut_down, self._limits)
        refusal = self._refusal(writer)
        self._backend.clients.refused += refusal is not None
        if refusal is None:
            task = asyncio.create_task(connection.serve(), name="api client")
            self._clients[task] = connection
        elif len(self._turned_away) < MOST_TOLD:
            task = asyncio.create_task(connection.refuse(refusal), name="api refusal")
            self._turned_away.add(task)
        else:
            writer.transport.abort()
            return
        task.add_done_callback(partial(self._ended, writer))

    def _ended(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        writer.close()  # one that was cancelled before its first step has not done that
        self._clients.pop(task, None)
        self._turned_away.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a client of the control API met a bug", exc_info=task.exception())

    def _refusal(self, writer: asyncio.StreamWriter) -> SamehostError | None:
        if self._place is None:
            return SamehostError("this daemon ends", "samehost up")
        refusal = self._place.refusal(writer)
        if refusal is not None:
            return refusal
        if len(self._clients) >= self._limits.clients and not self._make_room():
            return SamehostError(
                f"more than {self._limits.clients} programs talk with the daemon already",
                "end some of them, such as: samehost ports --watch",
            )
        return None

    def _make_room(self) -> bool:
        """Hang up on who asks for nothing; False if there is no such client."""
        idle = {task: each.idle_seconds for task, each in self._clients.items()}
        task = max(idle, key=lambda each: idle[each])
        if idle[task] < self._limits.idle_seconds:
            return False
        self._backend.clients.evicted += 1
        self._turned_away.add(task)
        del self._clients[task]
        task.cancel()
        return True

    # Shutdown outlives whoever asked for it

    async def _shut_down(self, progress: Progress) -> None:
        request = asyncio.current_task()
        if request is not None:
            self._shutdown_requests.add(request)
            request.add_done_callback(self._shutdown_requests.discard)
        if self._shutdown is None:
            self._shutdown = asyncio.create_task(
                self._backend.shutdown(progress), name="api shutdown"
            )
            self._shutdown.add_done_callback(self._shutdown_ended)
        await asyncio.shield(self._shutdown)

    def _shutdown_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            # So that whoever asks again gets another try.
            self._shutdown = None
            _log.error("the shutdown failed", exc_info=error)

    async def _deliver_shutdown(self) -> None:
        pending = set(self._shutdown_requests)
        if self._shutdown is not None:
            pending.add(self._shutdown)
        if pending:
            await asyncio.wait(pending, timeout=CLOSE_SECONDS)
        if self._shutdown is not None and not self._shutdown.done():
            self._shutdown.cancel()
            await asyncio.wait({self._shutdown})
