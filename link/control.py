"""A control session on a socket, in an event loop: the I/O around `session.py`.

Rules: one connection, one owner, who is told of messages in order and of the end exactly once.
Writes never block; an end that does not read is cut off once MAX_UNSENT bytes wait for it.
Limits: runs on any asyncio loop; Python 3.9. Used by both ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final, cast

from link.messages import Message
from link.session import ControlSession
from link.wire import WireError

__all__ = ["MAX_UNSENT", "ControlConnection"]

MAX_UNSENT: Final = 16 << 20
"""Bytes that may wait for an end that does not read."""

log = logging.getLogger(__name__)


class ControlConnection(asyncio.Protocol):
    """One live control session.

    Attributes:
        on_message: called with each message but beats.
        on_end: called once, with the reason in words for a person.
    """

    def __init__(
        self,
        *,
        beats: bool,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = ControlSession(beats=beats, now=self._loop.time())
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end_reason = ""
        self._ended = False

    @classmethod
    async def start(
        cls,
        stream: socket.socket,
        *,
        beats: bool,
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> ControlConnection:
        """Run a session on an authenticated stream."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: cls(beats=beats, on_message=on_message, on_end=on_end), sock=stream
        )
        return connection

    def send(self, message: Message) -> None:
        """Send a message; one sent after the end is dropped, since its meaning ended too."""
        if self._transport is None or self._ended:
            return
        self._transport.write(self._session.send(message))
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort("the other end does not read")

    def abort(self, reason: str) -> None:
        """End the session at once."""
        self._end_reason = self._end_reason or reason
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the session once what was sent is on its way."""
        self._end_reason = self._end_reason or "closed by this end"
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start of asyncio's calls: begin to beat."""
        self._transport = cast("asyncio.Transport", transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Hand on each message. One that breaks the rules ends the session."""
        try:
            messages = self._session.receive(data, self._loop.time())
        except WireError as error:
            self.abort(f"protocol error: {error}")
            return
        for message in messages:
            if self._ended:
                return
            self._on_message(message)
        self._tick()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say the end, once."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._on_end(self._end_reason or _in_words(exc))

    def _tick(self) -> None:
        if self._ended or self._transport is None:
            return
        now = self._loop.time()
        if self._session.is_expired(now):
            self.abort("the other end fell silent")
            return
        due = self._session.timers(now)
        if due:
            self._transport.write(due)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._session.deadline(), self._tick)


def _in_words(error: Exception | None) -> str:
    """Why a connection is lost: an error that has a number goes by its words."""
    if error is None:
        return "the other end closed the link"
    return f"the link broke: {getattr(error, 'strerror', None) or error}"
