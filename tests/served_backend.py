"""A fake daemon for tests: the real control API and the real lock, in a thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from desktop.api.connection import Limits
from desktop.api.fake import FakeBackend
from desktop.api.server import ApiServer
from desktop.daemon.lock import DaemonLock
from desktop.paths import Paths

__all__ = ["PATIENCE", "ServedBackend"]

PATIENCE: Final = 30.0
"""Seconds until something that must happen has happened."""

T = TypeVar("T")


class ServedBackend:
    """Serves a `FakeBackend` until it is shut down, or the `with` block ends."""

    def __init__(
        self,
        home: Path,
        limits: Limits | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.paths = Paths.under(home)
        self._limits = limits
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake daemon")
        self._loop_factory = loop_factory
        self.backend: FakeBackend
        self.server: ApiServer
        self._loop: asyncio.AbstractEventLoop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where it is served."""
        return self._loop

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended by itself
            self._loop.call_soon_threadsafe(self.backend.stopped.set)
        self.join()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something on the daemon's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def do(self, function: Callable[[], T]) -> T:
        """Call something on the daemon's loop."""

        async def call() -> T:
            return function()

        return self.run(call())

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.backend = FakeBackend()
        with DaemonLock(self.paths.lock_file):
            async with ApiServer(self.paths.api_socket, self.backend, self._limits) as self.server:
                self._ready.set()
                await self.backend.stopped.wait()
