"""The desktop's end of a link: one control session, and streams dialled ahead.

    transport.open ─▶ handshake ─┬─ CONTROL ───▶ ControlConnection ─▶ LinkEvents
                                 ├─ OUTBOUND ──▶ pool that mirrors draw from
                                 └─ PARKED ────▶ OpenReader ─▶ LinkEvents.opened

Rules: the desktop dials, always. How many streams are kept ahead follows the demand, between
`BASE_STREAMS` and what the transport bears. The outbound pool belongs to the caller and outlives
the link, so that clients of a paused mirror wait in it. Counterpart: `vmagent/agent.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial
from typing import Any, Final, Protocol

from desktop.daemon.files import are_files_short, is_reserved
from desktop.transports.transport import Transport, TransportError, WayGoneError
from link.control import ControlConnection
from link.handshake import NONCE_SIZE, DesktopHandshake, HandshakeError, Role
from link.messages import Message, Wanted, Welcome
from link.opening import OpenReader
from link.pool import StreamPool
from link.stream import Stream
from link.wire import OpenRequest

__all__ = ["BASE_STREAMS", "AgentLink", "LinkEvents"]

BASE_STREAMS: Final = 16
"""Streams kept ahead per direction at rest."""
BASE_SHARE: Final = 4
"""At rest no more than one of so many that the transport bears."""
REFILL_BELOW: Final = 2
"""Streams are dialled once this part of those wanted is missing: most come back by themselves."""
DIALS_AT_ONCE: Final = 8
HANDSHAKE_SECONDS: Final = 5.0
CALM_SECONDS: Final = 30.0
"""After this long without a shortage, half as many streams are kept ahead."""
RETRY_SECONDS: Final = 0.2
"""Pause of a dialler whose dial failed while the control session still lives."""
FEW_FILES: Final = "too many files are open here for another one"

SILENT: Final = "the agent does not answer"

log = logging.getLogger(__name__)


class LinkEvents(Protocol):
    """What the owner of a link is told, from the event loop."""

    def message(self, message: Message) -> None:
        """A message of the agent, other than those the link uses itself."""

    def opened(self, stream: socket.socket, request: OpenRequest) -> None:
        """A container connected to a stub. The owner now owns the stream."""


class AgentLink:
    """One session with an agent. `open`, then `run` until it ends.

    Attributes:
        retried: streams that could not be opened and were tried again.
    """

    def __init__(
        self, transport: Transport, secret: bytes, pool: StreamPool, events: LinkEvents
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._secret = secret
        self._pool = pool
        self._events = events
        self._parked: set[OpenReader] = set()
        self._most = transport.most_idle
        self._base = min(BASE_STREAMS, self._most // BASE_SHARE)
        self._pool.most_idle = self._most
        self._targets: dict[Role, int] = {}
        for role in (Role.OUTBOUND, Role.PARKED):
            self._set_target(role, self._base)
        self._on_their_way = {Role.OUTBOUND: 0, Role.PARKED: 0}
        self._tickets: asyncio.Queue[Role] = asyncio.Queue()
        self._control: ControlConnection | None = None
        self._early: list[Message] | None = []
        self._welcome: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._is_closed = False
        self._complaint = ""
        self.retried = 0

    async def open(self) -> None:
        """Begin the control session, up to the agent's welcome; what it says waits for `run`.

        So whoever sees an open link knows its agent. Raises TransportError, HandshakeError.
        """
        stream = await self._dial(Role.CONTROL)
        try:
            self._control = await ControlConnection.start(
                stream, beats=True, on_message=self._message, on_end=self._end
            )
        except OSError as error:
            stream.close()
            raise TransportError(f"the agent hung up: {error}") from error
        try:
            await self._welcomed()
        except BaseException:
            self._control.abort("no welcome")
            raise

    async def run(self) -> str:
        """Keep streams ready until the link ends; the reason is for a person."""
        calm = self._loop.create_task(self._calm_down(), name="stream targets")
        workers = [
            self._loop.create_task(self._dialler(), name=f"dialler {n}")
            for n in range(DIALS_AT_ONCE)
        ]
        early, self._early = self._early, None
        for message in early or ():
            self._message(message)
        self.need()
        watched: list[asyncio.Future[Any]] = [self._ended, calm, *workers]
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            return self._ended.result()
        finally:
            for task in (calm, *workers):
                task.cancel()
            await asyncio.gather(calm, *workers, return_exceptions=True)
            self._close_streams()

    def send(self, message: Message) -> None:
        """Say something to the agent. Dropped once the link has ended."""
        if self._control is not None:
            self._control.send(message)

    def give_up(self, reason: str) -> None:
        """End the link at once: there is a better reason to think it dead than silence."""
        self._end(reason)

    def close(self) -> None:
        """End the link once what was sent is on its way."""
        if self._control is not None:
            self._control.close()

    def need(self) -> None:
        """Dial for what is missing now; called by the pool when a stream is used up."""
        if self._ended.done() or self._control is None:
            return
        if self._pool.waiting:
            self._raise_target(Role.OUTBOUND, self._pool.waiting)
        have = {
            Role.OUTBOUND: self._pool.idle - self._pool.waiting,
            Role.PARKED: len(self._parked),
        }
        for role, count in have.items():
            target = self._targets[role]
            if count >= target // REFILL_BELOW:
                continue
            missing = min(target - count, self._most) - self._on_their_way[role]
            for _ in range(missing):
                self._on_their_way[role] += 1
                self._tickets.put_nowait(role)

    async def _welcomed(self) -> None:
        """The agent's first word has come. Raises TransportError."""
        either: list[asyncio.Future[Any]] = [self._welcome, self._ended]
        await asyncio.wait(either, timeout=HANDSHAKE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._welcome.done():
            raise TransportError(self._ended.result() if self._ended.done() else SILENT)

    def _message(self, message: Message) -> None:
        if not self._welcome.done():
            self._first(message)
        if self._early is not None:
            self._early.append(message)
        elif isinstance(message, Wanted):
            self._raise_target(Role.PARKED, message.count)
            self.need()
        else:
            self._events.message(message)

    def _first(self, message: Message) -> None:
        """An agent says who it is before anything else."""
        if isinstance(message, Welcome):
            self._welcome.set_result(None)
        else:
            self._end("protocol error: the agent's first word is no welcome")

    def _raise_target(self, role: Role, at_least: int) -> None:
        self._set_target(role, min(max(self._targets[role] * 2, at_least), self._most))

    def _set_target(self, role: Role, target: int) -> None:
        self._targets[role] = target
        if role is Role.OUTBOUND:
            self._pool.enough = target // REFILL_BELOW

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _calm_down(self) -> None:
        while True:
            await asyncio.sleep(CALM_SECONDS)
            for role, target in self._targets.items():
                self._set_target(role, max(target // 2, self._base))

    async def _dialler(self) -> None:
        while True:
            role = await self._tickets.get()
            try:
                stream = await self._dial(role)
            except (TransportError, HandshakeError) as error:
                self._complain(str(error))
                self.retried += 1
                self._tickets.put_nowait(role)
                if isinstance(error, WayGoneError):
                    self._end(str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._complaint = ""
            self._on_their_way[role] -= 1
            self._place(role, stream)
            if self._pool.waiting:
                self.need()

    def _complain(self, words: str) -> None:
        """Say once what keeps all diallers from their work, however often they try."""
        if words != self._complaint:
            self._complaint = words
            log.warning("a stream to the agent could not be opened: %s", words)

    def _place(self, role: Role, stream: socket.socket) -> None:
        carried = Stream.of(stream, may_be_raw=self._transport.carries_reset)
        if role is Role.OUTBOUND:
            self._pool.put(carried)
        else:
            # It waits at once, and again whenever it comes home: until the agent has a client.
            readiness = self._pool.readiness
            reader = OpenReader(carried, self._events.opened, self._unparked, readiness)
            carried.home = partial(self._park, reader)
            carried.is_wanted = self._wants_parked
            self._park(reader, carried)

    def _wants_parked(self) -> bool:
        """Of one whose flow is over. Once it is parked, none is given up: the agent may draw it."""
        return not self._is_closed and len(self._parked) < self._most

    def _park(self, reader: OpenReader, stream: Stream) -> None:
        if self._is_closed:
            self._pool.give_up(stream)
            return
        self._parked.add(reader)
        reader.wait()

    def _unparked(self, reader: OpenReader) -> None:
        self._parked.discard(reader)
        if len(self._parked) < self._targets[Role.PARKED] // REFILL_BELOW:
            self.need()

    async def _dial(self, role: Role) -> socket.socket:
        """An authenticated stream. Raises TransportError, HandshakeError."""
        stream = await self._open(role)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self._authenticate(stream, role)
        except TimeoutError as error:
            stream.close()
            raise TransportError(SILENT) from error
        except OSError as error:
            stream.close()
            raise TransportError(f"the agent hung up: {error}") from error
        except (HandshakeError, TransportError, asyncio.CancelledError):
            stream.close()
            raise
        return stream

    async def _open(self, role: Role) -> socket.socket:
        """A stream, unless files are short: once it is parked at the agent it may be drawn."""
        if role is Role.CONTROL:
            return await self._transport.open()
        if are_files_short():
            raise TransportError(FEW_FILES)
        stream = await self._transport.open()
        if is_reserved(stream.fileno()):  # others have opened some meanwhile
            stream.close()
            raise TransportError(FEW_FILES)
        return stream

    async def _authenticate(self, stream: socket.socket, role: Role) -> None:
        greeting = _Greeting(stream, DesktopHandshake(self._secret, os.urandom(NONCE_SIZE), role))
        self._loop.add_reader(stream.fileno(), greeting.read)
        try:
            greeting.start()
            await greeting.done
        finally:
            self._loop.remove_reader(stream.fileno())

    def _close_streams(self) -> None:
        self._is_closed = True
        for reader in list(self._parked):
            reader.close()
        self._parked.clear()
        self._pool.clear()
        if self._control is not None:
            self._control.abort("the link ended")


class _Greeting:
    """A handshake on a stream: one reader for all of it, since to add one costs more than to read.

    What is sent is a few dozen bytes into an empty send buffer, which always fit.
    """

    def __init__(self, stream: socket.socket, handshake: DesktopHandshake) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream = stream
        self._handshake = handshake

    def start(self) -> None:
        """Say the first word. Raises OSError."""
        self._stream.send(self._handshake.start())

    def read(self) -> None:
        """The stream has something; it may end the handshake, well or badly."""
        if self.done.done():
            return
        try:
            self._step(self._stream.recv(self._handshake.wanted))
        except BlockingIOError:
            return
        except (OSError, HandshakeError, TransportError) as error:
            self.done.set_exception(error)

    def _step(self, data: bytes) -> None:
        if not data:
            raise TransportError("the agent closed the stream during the handshake")
        answer = self._handshake.receive(data)
        if answer:
            self._stream.send(answer)
        if self._handshake.is_done:
            self.done.set_result(None)
