"""That this computer woke, as systemd-logind tells it on the system bus: Linux only.

    logind ─ PrepareForSleep(false) ─▶ system bus ─▶ watch_logind ─▶ on_wake()

Sooner than by the clock, which has its look once a second and takes a short sleep for none. The
clock is watched all the same (`sleep_watch.py`): both ask the agents, and one question more does no
harm.

Rules: jeepney speaks the bus's protocol; where it is not installed (every other system), there is
nothing to watch. Only what the bus passes on from the owner of logind's name counts: a signal that
any user sends to this connection alone has a destination, which logind's has not. A bus that is not
there, or goes away, is tried again with back-off up to MOST_SECONDS, and said once.
Limits: of a bus's addresses those of Unix sockets. Nothing is done before a sleep.
Counterpart: `sleep_watch.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

__all__ = ["ANSWER_SECONDS", "FIRST_SECONDS", "MOST_SECONDS", "watch_logind"]

FIRST_SECONDS: Final = 1.0
"""Until a bus that has gone is tried again, for the first time."""
MOST_SECONDS: Final = 60.0
"""The longest time between two tries."""
ANSWER_SECONDS: Final = 10.0
"""Most that a bus may take to let somebody in."""
LINE_BYTES: Final = 1024
"""Of an answer while somebody logs in to the bus; the longest there are have 100 or so."""

NO_MESSAGE: Final = (AssertionError, ArithmeticError, LookupError, TypeError, struct.error)
"""What jeepney 0.9 raises, beside ValueError, for bytes that are no message."""

_SIGNAL: Final = {
    "type": "signal",
    "sender": "org.freedesktop.login1",
    "path": "/org/freedesktop/login1",
    "interface": "org.freedesktop.login1.Manager",
    "member": "PrepareForSleep",
}
"""org.freedesktop.login1(5): its argument is true before a sleep, and false after it."""

Pause = Callable[[float], Awaitable[None]]
log = logging.getLogger(__name__)


class _BusError(Exception):
    """The bus is not there, has gone, or does not let us in."""


async def watch_logind(
    on_wake: Callable[[], Awaitable[None]], pause: Pause = asyncio.sleep
) -> None:
    """Await `on_wake` whenever logind says that the computer woke, until cancelled.

    Returns at once where there is no library for it. `pause` waits for so many seconds.
    """
    try:
        library = importlib.import_module("jeepney")
        importlib.import_module("jeepney.io.asyncio")
    except ImportError as error:
        log.info("logind is not asked about sleep, the clock is: %s", error)
        return
    bus, seconds = _Bus(library), FIRST_SECONDS
    clock = asyncio.get_running_loop().time
    is_said = False
    while True:
        began = clock()
        try:
            await _listen(bus, on_wake)
        except _BusError as error:
            is_news = bus.has_listened or not is_said
            log.log(logging.INFO if is_news else logging.DEBUG, "logind is not heard: %s", error)
            is_said = True
        if clock() - began >= MOST_SECONDS:
            seconds = FIRST_SECONDS
        await pause(seconds)
        seconds = min(2 * seconds, MOST_SECONDS)


async def _listen(bus: _Bus, on_wake: Callable[[], Awaitable[None]]) -> None:
    """Hear logind until the bus goes away. Raises _BusError."""
    try:
        await bus.open()
        log.info("logind tells of sleep")
        while True:
            if await bus.goes_to_sleep():
                log.info("this computer goes to sleep")
            else:
                log.info("this computer has woken, says logind: links are tried")
                await on_wake()
    finally:
        await bus.close()


class _Bus:
    """The system bus, as far as logind's signal comes by it. To be opened again after an error."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._connection: Any = None
        self.has_listened = False

    async def open(self) -> None:
        """Connect and ask for the signal. Raises _BusError."""
        self.has_listened = False
        with self._troubles():
            async with asyncio.timeout(ANSWER_SECONDS):
                path = self._library.bus.get_bus("SYSTEM")
                streams = await asyncio.open_unix_connection(path)
                self._connection = self._library.io.asyncio.DBusConnection(*streams)
                await self._log_in(*streams)
                await self._call(self._library.message_bus.Hello())
                rule = self._library.MatchRule(**_SIGNAL)
                await self._call(self._library.message_bus.AddMatch(rule))
        self.has_listened = True

    async def goes_to_sleep(self) -> bool:
        """Wait for the next signal: true before a sleep, false after it. Raises _BusError."""
        while True:
            with self._troubles():
                message = await self._receive()
            if self._is_the_signal(message):
                return bool(message.body[0])

    async def close(self) -> None:
        """Drop the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.writer.transport.abort()
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As this user, whom the bus knows by the socket (D-Bus Specification, EXTERNAL)."""
        login = self._library.auth.Authenticator()
        for words in login:
            writer.write(words)
            await writer.drain()
            login.feed(await self._some(reader))
        writer.write(self._library.auth.BEGIN)

    async def _some(self, reader: asyncio.StreamReader) -> bytes:
        words = await reader.read(LINE_BYTES)
        if not words:
            raise EOFError("the bus hung up")
        return words

    async def _call(self, call: Any) -> None:
        """Ask the bus itself, and wait until it has done it."""
        serial = next(self._connection.outgoing_serial)
        await self._connection.send(call, serial=serial)
        replies = self._library.HeaderFields.reply_serial
        while True:
            message = await self._receive()
            if message.header.fields.get(replies) == serial:
                self._library.wrappers.unwrap_msg(message)
                return

    async def _receive(self) -> Any:
        """The next message. Raises EOFError, OSError; ValueError for bytes that are none."""
        try:
            return await self._connection.receive()
        except NO_MESSAGE as error:
            raise ValueError(f"no message: {type(error).__name__}") from error

    def _is_the_signal(self, message: Any) -> bool:
        fields, names = message.header.fields, self._library.HeaderFields
        return (
            message.header.message_type is self._library.MessageType.signal
            and names.destination not in fields
            and fields.get(names.interface) == _SIGNAL["interface"]
            and fields.get(names.member) == _SIGNAL["member"]
            and fields.get(names.signature) == "b"
        )

    @contextlib.contextmanager
    def _troubles(self) -> Iterator[None]:
        """What a bus, or its address, may come to is a _BusError."""
        refused = self._library.DBusErrorResponse
        try:
            yield
        except (OSError, EOFError, ValueError, LookupError, RuntimeError, refused) as error:
            raise _BusError(f"the system bus: {error or type(error).__name__}") from error
