"""What the container engines of the tests have in common: a Unix socket, and clients that may go.

Counterparts: `fake_docker.py`, `fake_containerd.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

from vmagent.engine import EngineWatcher

__all__ = ["FakeEngine", "running"]


@contextlib.asynccontextmanager
async def running(watcher: EngineWatcher) -> AsyncIterator[None]:
    """It runs meanwhile, and does not end by itself."""
    task = asyncio.create_task(watcher.run())
    try:
        yield
    finally:
        assert not task.done(), "run must not end by itself"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


class FakeEngine(ABC):
    """Serves each client by `serve`, from `start` to `stop`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def stop(self) -> None:
        """End as a killed engine does; the socket's file stays behind until the next start."""
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client."""

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the engine ends
        finally:
            self._serving.discard(task)
            writer.close()
