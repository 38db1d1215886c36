"""Running a daemon: lock, log, event loop, signals, and the order of start and end.

Counterparts: `desktop.cli.up` starts it; `__main__.py` is its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from desktop.api.messages import error_to_wire
from desktop.api.server import ApiServer
from desktop.daemon.daemon import Daemon
from desktop.daemon.files import raise_file_limit
from desktop.daemon.lock import DaemonLock
from desktop.daemon.loops import new_event_loop
from desktop.daemon.place import keep_place
from desktop.datagrams.select import open_datagram_sockets
from desktop.errors import SamehostError
from desktop.listeners.select import open_listener_source
from desktop.paths import Paths
from desktop.printable import LINES, printable
from desktop.settings.store import SettingsStore
from link.relay.select import open_relay
from link.version import VERSION

__all__ = ["Foreground", "ReadyLine", "StarterGoneError", "run"]

LOG_BYTES: Final = 4 << 20
LOG_FILES: Final = 2
LOG_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
STANDARD_OUTPUT: Final = 1
STANDARD_ERROR: Final = 2
ENDINGS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Signals that shut it down; SIGBREAK is what Windows has in place of SIGHUP."""

log = logging.getLogger(__name__)


class StarterGoneError(SamehostError):
    """Whoever started the daemon does not wait for it any more."""


class ReadyLine:
    """One JSON line on a descriptor: {"ready": true}, or the error that ended the start.

    If that is standard output, what is printed goes where errors go, from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        if descriptor == STANDARD_OUTPUT:
            self._descriptor = os.dup(STANDARD_OUTPUT)
            os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)

    def ready(self) -> None:
        """The daemon answers on its socket. Raises StarterGoneError."""
        self._write({"ready": True})

    def failed(self, error: SamehostError) -> None:
        """It does not, and this is why. Raises StarterGoneError."""
        self._write({"error": error_to_wire(error)})

    def _write(self, answer: dict[str, Any]) -> None:
        try:
            os.write(self._descriptor, json.dumps(answer).encode() + b"\n")
        except OSError as error:  # on Windows a pipe that nobody reads is EINVAL
            raise StarterGoneError("whoever started the daemon has gone") from error
        finally:
            os.close(self._descriptor)


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """A log that only its owner may read, whoever makes the file and however often.

    Moved or removed by somebody, it is begun anew with the next line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        before = self.stream
        if before is not None and not _is_at(before, self.baseFilename):
            with contextlib.suppress(OSError):  # then it goes on where it is
                Path(self.baseFilename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.stream = self._open()
                before.close()
        super().emit(record)

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, LOG_FLAGS, 0o600)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


class _Printable(logging.Formatter):
    """Strangers have their word in the log: none of it steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return printable(super().format(record), LINES)


def _is_at(stream: TextIOWrapper, path: str) -> bool:
    """False if another file is there, or none."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
    except OSError:
        return True


@dataclass(frozen=True, slots=True)
class Foreground:
    """A daemon that a person watches: it attaches by itself, and says what it does.

    `machine` None is the one of the settings.
    """

    machine: str | None
    say: Callable[[str], None]


def run(
    paths: Paths, ready: Callable[[], None] | None = None, foreground: Foreground | None = None
) -> int:
    """Run a daemon until it is shut down; returns the exit code.

    It shuts down by itself if `ready` raises StarterGoneError. Raises SamehostError if it cannot
    start, or cannot attach in the foreground.
    """
    # Until the loop takes signals, a termination unwinds what has been begun, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with DaemonLock(paths.lock_file) as lock:
            _log_to(paths)
            if finding := raise_file_limit():
                log.warning("%s", finding)
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(_serve(paths, lock, ready or _nothing, foreground))
    finally:
        _remove_empty(paths)
    return 0


async def _serve(
    paths: Paths, lock: DaemonLock, ready: Callable[[], None], foreground: Foreground | None
) -> None:
    store = SettingsStore(paths)
    sockets = open_datagram_sockets(store.settings.udp_path)
    daemon = Daemon(paths, open_relay(), sockets, open_listener_source(), store)
    log.info("samehost %s begins, process %d", VERSION, os.getpid())
    loop = asyncio.get_running_loop()
    work: list[asyncio.Task[None]] = []

    def shut_down(name: str) -> None:
        log.info("%s: shutting down", name)
        for task in work:
            task.cancel()
        work.append(loop.create_task(daemon.shutdown(_say), name="shutdown by signal"))

    for number in ENDINGS:
        loop.add_signal_handler(number, shut_down, number.name)
    async with ApiServer(paths.api_socket, daemon) as server, _kept(lock, server, daemon):
        try:
            ready()
        except StarterGoneError as error:
            shut_down(error.message)
        gc.collect()
        gc.freeze()
        if foreground is not None:
            work.append(loop.create_task(_attach(daemon, foreground), name="first attach"))
        await daemon.run()
        results = await asyncio.gather(*work, return_exceptions=True)
    log.info("samehost ends")
    for result in results:
        if isinstance(result, Exception):
            raise result


@contextlib.asynccontextmanager
async def _kept(lock: DaemonLock, server: ApiServer, daemon: Daemon) -> AsyncIterator[None]:
    """Lock and socket stay in their place, or the daemon leaves it to another."""

    async def keep() -> None:
        other = await keep_place(lock, server)
        log.warning("the runtime folder was removed, and then: %s; this daemon ends", other)
        daemon.leave()

    keeper = asyncio.get_running_loop().create_task(keep(), name="lock and socket")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def _attach(daemon: Daemon, foreground: Foreground) -> None:
    """Attach, or shut down with the reason."""
    try:
        findings = await daemon.attach(foreground.machine, foreground.say)
    except SamehostError:
        await daemon.shutdown(foreground.say)
        raise
    for finding in findings:
        foreground.say(finding)
    foreground.say("connected; Ctrl-C ends it")


def _say(text: str) -> None:
    log.info("%s", text)


def _nothing() -> None:
    """Nobody waits for the daemon to be ready."""


def _log_to(paths: Paths) -> None:
    paths.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = _PrivateLog(paths.log_file, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [handler]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(_Printable())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def _remove_empty(paths: Paths) -> None:
    for folder in (paths.runtime, paths.state / "machines", paths.state):
        try:
            folder.rmdir()
        except OSError as error:
            log.debug("%s stays: %s", folder, error)
