"""Running a daemon: lock, log, event loop, signals, and the order of start and end.

Counterparts: `desktop.cli.up` starts it; `__main__.py` is its process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import logging.handlers
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import uvloop

from desktop.api.server import ApiServer
from desktop.daemon.daemon import Daemon
from desktop.daemon.lock import DaemonLock
from desktop.errors import SamehostError
from desktop.listeners.select import open_listener_source
from desktop.paths import Paths
from desktop.settings.store import SettingsStore
from link.relay.select import open_relay
from link.version import VERSION

__all__ = ["ReadyLine", "run"]

LOG_BYTES: Final = 4 << 20
LOG_FILES: Final = 2

log = logging.getLogger(__name__)


class ReadyLine:
    """One JSON line on a descriptor: {"ready": true}, or the error that ended the start."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """The daemon answers on its socket."""
        self._write({"ready": True})

    def failed(self, error: SamehostError) -> None:
        """It does not, and this is why."""
        fields = {"code": int(error.code), "message": error.message, "remedy": error.remedy}
        self._write({"error": fields})

    def _write(self, answer: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(answer).encode() + b"\n")
        os.close(self._descriptor)


def run(paths: Paths, ready: Callable[[], None] | None = None, machine: str | None = None) -> int:
    """Run a daemon until it is shut down; returns the exit code.

    `machine` is attached to once the daemon is ready; without it the daemon waits to be asked.
    Raises SamehostError if it cannot start.
    """
    with DaemonLock(paths.lock_file):
        _log_to(paths)
        _raise_file_limit()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(paths, ready or _nothing, machine))
    _remove_empty(paths)
    return 0


async def _serve(paths: Paths, ready: Callable[[], None], machine: str | None) -> None:
    daemon = Daemon(paths, open_relay(), open_listener_source(), SettingsStore(paths))
    log.info("samehost %s begins, process %d", VERSION, os.getpid())
    loop = asyncio.get_running_loop()
    ends: set[asyncio.Task[None]] = set()

    def shut_down(name: str) -> None:
        log.info("%s: shutting down", name)
        ends.add(loop.create_task(daemon.shutdown(_say), name="shutdown by signal"))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, shut_down, number.name)
    async with ApiServer(paths.api_socket, daemon):
        ready()
        gc.collect()
        gc.freeze()
        attach = loop.create_task(_attach(daemon, machine), name="first attach")
        try:
            await daemon.run()
        finally:
            attach.cancel()
            await asyncio.gather(attach, *ends, return_exceptions=True)
    log.info("samehost ends")


async def _attach(daemon: Daemon, machine: str | None) -> None:
    if machine is None:
        return
    try:
        await daemon.attach(machine, _say)
    except SamehostError as error:
        log.error("%s; %s", error.message, error.remedy)


def _say(text: str) -> None:
    log.info("%s", text)


def _nothing() -> None:
    """Nobody waits for the daemon to be ready."""


def _log_to(paths: Paths) -> None:
    paths.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.handlers.RotatingFileHandler(
        paths.log_file, maxBytes=LOG_BYTES, backupCount=LOG_FILES
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [handler]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def _raise_file_limit() -> None:
    """Each flow takes two descriptors, each mirror one: take all the system allows."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _remove_empty(paths: Paths) -> None:
    for folder in (paths.runtime, paths.state / "machines", paths.state):
        try:
            folder.rmdir()
        except OSError as error:
            log.debug("%s stays: %s", folder, error)
