"""How a stream becomes a flow: one end sends an `OpenRequest`, the other waits for it.

    opener (has a client)                        listener's side
    Forwarder.forward(client, request)           OpenReader(stream, on_open)
      pool.take ─▶ stream ─▶ request ────────▶     on_open(stream, request) ─▶ dial ─▶ relay
      relay.join(client, stream)

Rules: every failure on the way is a reset for the client and never an exception of the loop.
Used by both ends: the desktop forwards clients of mirrors, the agent those of stubs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from link.dial import dial
from link.pool import StreamPool
from link.relay.relay import Flow, Relay, reset_socket
from link.wire import OPEN_SIZE, OpenRequest, WireError

__all__ = ["Forwarder", "OpenReader", "answer"]

log = logging.getLogger(__name__)


class Forwarder:
    """Sends accepted clients through streams of a pool."""

    def __init__(self, pool: StreamPool, relay: Relay) -> None:
        self._pool = pool
        self._relay = relay

    def forward(
        self,
        client: socket.socket,
        request: OpenRequest,
        on_start: Callable[[Flow], None],
        on_end: Callable[[Flow], None],
    ) -> None:
        """Make a flow of `client` (owned from now on); it may wait for a stream first."""

        def start(stream: socket.socket | None) -> None:
            if stream is None:
                reset_socket(client)
                return
            try:
                stream.send(request.encode())
            except OSError:
                # The stream died while idle and its end had not been seen yet.
                stream.close()
                self._pool.take(start)
                return
            with contextlib.suppress(OSError):
                on_start(self._relay.join(client, stream, on_end))

        self._pool.take(start)


class OpenReader:
    """Waits on an authenticated stream for its opening, then hands the stream on."""

    def __init__(
        self,
        stream: socket.socket,
        on_open: Callable[[socket.socket, OpenRequest], None],
        on_gone: Callable[[OpenReader], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._on_open = on_open
        self._on_gone = on_gone
        self._data = b""
        self._loop.add_reader(stream.fileno(), self._read)

    def close(self) -> None:
        """Give the stream up."""
        self._loop.remove_reader(self._stream.fileno())
        self._stream.close()

    def _read(self) -> None:
        try:
            data = self._stream.recv(OPEN_SIZE - len(self._data))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._data += data
        if data and len(self._data) < OPEN_SIZE:
            return
        self._loop.remove_reader(self._stream.fileno())
        self._on_gone(self)
        try:
            request = OpenRequest.decode(self._data)
        except WireError as error:
            if self._data:
                log.warning("a stream was ended: %s", error)
            self._stream.close()
            return
        self._on_open(self._stream, request)


def answer(
    relay: Relay,
    stream: socket.socket,
    address: str,
    port: int,
    on_end: Callable[[Flow], None],
) -> Flow | None:
    """Dial the real listener for an opened stream and join the two; a failure is a reset."""
    try:
        server = dial(address, port)
    except OSError as error:
        log.debug("no connection to %s port %d: %s", address, port, error)
        reset_socket(stream)
        return None
    try:
        return relay.join(stream, server, on_end)
    except OSError as error:
        log.warning("a flow could not start: %s", error)
        return None
