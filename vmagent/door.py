"""The agent's door: takes streams from the desktop, and makes strangers cost next to nothing.

    entrance ─▶ newcomer (handshake, time-limited, few at once) ─▶ on_stream

Rules: any host-networked container shares the agent's network and can knock. It learns the
protocol's number, may hold one of MAX_NEWCOMERS places for HANDSHAKE_SECONDS, and when they are
taken the oldest makes room, unless it has spoken by then. Who has greeted as a desktop does has a
place apart: silence and noise, however much, push no desktop out. Nor do they fill the log.
Counterparts: `doors/` is where streams come in, `link.handshake`, and the desktop's dialler.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

from link.handshake import NONCE_SIZE, AgentHandshake, HandshakeError, Role

__all__ = ["HANDSHAKE_SECONDS", "MAX_NEWCOMERS", "Door"]

HANDSHAKE_SECONDS: Final = 5.0
MAX_NEWCOMERS: Final = 256
"""Handshakes under way at once of those who have not greeted."""
MAX_GREETED: Final = 2048
"""Of those who have. Anybody can greet, so there have to be more than can come in the moment that a
desktop needs to answer; at most a share of the files that the agent may have open."""
SHARE_OF_FILES: Final = 4
QUIET_SECONDS: Final = 10.0
"""Between two words in the log about strangers; the log is the desktop's, on its disk."""

log = logging.getLogger(__name__)

OnStream = Callable[[socket.socket, Role], None]


class Door:
    """Authenticates streams. `files` may be open here, by default as many as the kernel says."""

    def __init__(self, secret: bytes, on_stream: OnStream, files: int = 0) -> None:
        self._secret = secret
        self._on_stream = on_stream
        self._loop = asyncio.get_running_loop()
        self._strangers: dict[_Newcomer, None] = {}
        self._greeted: dict[_Newcomer, None] = {}
        self._most_greeted = min(MAX_GREETED, (files or _files()) // SHARE_OF_FILES)
        self._quiet_until = 0.0
        self.refused = 0

    def admit(self, stream: socket.socket) -> None:
        """Begin the handshake on a new stream, which this owns until it is authenticated."""
        _make_room(self._strangers, MAX_NEWCOMERS)
        newcomer = _Newcomer(stream, AgentHandshake(self._secret, os.urandom(NONCE_SIZE)), self)
        self._strangers[newcomer] = None

    def leave(self, newcomer: _Newcomer) -> None:
        """Called by a newcomer whose handshake has ended."""
        self._strangers.pop(newcomer, None)
        self._greeted.pop(newcomer, None)

    def greeted(self, newcomer: _Newcomer) -> None:
        """Called by a newcomer who has said hello as a desktop does; anybody could."""
        self._strangers.pop(newcomer, None)
        _make_room(self._greeted, self._most_greeted)
        self._greeted[newcomer] = None

    def note(self, reason: str) -> None:
        """Called by a newcomer who is refused: said now and then, however many they are."""
        self.refused += 1
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + QUIET_SECONDS
            log.info("a stream was refused: %s (%d so far)", reason, self.refused)

    def enter(self, stream: socket.socket, role: Role) -> None:
        """Called by a newcomer who knows the secret."""
        self._on_stream(stream, role)

    def close(self) -> None:
        """Send every newcomer away."""
        for newcomer in [*self._strangers, *self._greeted]:
            newcomer.refuse("the agent ends")


def _make_room(places: dict[_Newcomer, None], most: int) -> None:
    """See that one more has a place; what the oldest has said by now still counts."""
    if len(places) >= most:
        oldest = next(iter(places))
        oldest.read()
        if oldest in places:
            oldest.refuse("too many are at the door")


class _Newcomer:
    """One handshake under way."""

    def __init__(self, stream: socket.socket, handshake: AgentHandshake, door: Door) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._handshake = handshake
        self._door = door
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, self.refuse, "too slow")
        self._loop.add_reader(stream.fileno(), self.read)

    def refuse(self, reason: str) -> None:
        """Close the stream."""
        self._door.note(reason)
        self._leave()
        self._stream.close()

    def _leave(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._stream.fileno())
        self._door.leave(self)

    def read(self) -> None:
        """Take what has come, and answer it."""
        has_greeted = self._handshake.role is not None
        try:
            data = self._stream.recv(self._handshake.wanted)
            if not data:
                self.refuse("it closed")
                return
            answer = self._handshake.receive(data)
            # A few dozen bytes into an empty send buffer always fit.
            if answer:
                self._stream.send(answer)
        except BlockingIOError:
            return
        except (OSError, HandshakeError) as error:
            self.refuse(str(error))
            return
        role = self._handshake.role
        if self._handshake.is_done and role is not None:
            self._leave()
            self._door.enter(self._stream, role)
        elif role is not None and not has_greeted:
            self._door.greeted(self)


def _files() -> int:
    """How many may be open in this process (getrlimit(2))."""
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
