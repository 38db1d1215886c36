"""How a stream becomes a flow: one end sends an `OpenRequest`, the other waits for it.

    opener (has a client)                        listener's side
    Forwarder.forward(client, opening)           OpenReader(stream, on_open)
      pool.draw ─▶ stream
      relay.forward(client, stream) ═════════▶     on_open(stream, request) ─▶ dial
                                                   relay.serve(stream, server)

Rules: every failure on the way is a reset for the client and never an exception of the loop.
Used by both ends: the desktop forwards clients of mirrors, the agent those of stubs.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial

from link.pool import StreamPool
from link.readiness import ENDING, LoopReadiness, Readiness
from link.relay.relay import Flow, Relay, StreamGoneError, linger_not, reset_socket
from link.shortages import shortages
from link.stream import READ_AHEAD, Stream
from link.wire import OPEN_SIZE, OpenRequest, WireError

__all__ = ["Forwarder", "OpenReader", "answer", "refuse"]

OnFlow = Callable[[Flow], None]

log = logging.getLogger(__name__)


class Forwarder:
    """Sends accepted clients through streams of a pool, which the relay's readiness watches."""

    def __init__(self, pool: StreamPool, relay: Relay) -> None:
        self._pool = pool
        self._relay = relay

    def forward(
        self,
        client: socket.socket,
        opening: bytes,
        on_start: OnFlow,
        on_end: OnFlow,
        early: bytes = b"",
    ) -> None:
        """Make a flow of `client` (owned from now on); it may wait for a stream first.

        `opening` is an encoded OpenRequest, `early` was read from the client before. Without memory
        for it, it is reset.
        """
        if shortages.refuse_flow():
            reset_socket(client)
            return
        stream = self._pool.draw()
        if stream is None:
            self._pool.wait(partial(self._waited, client, opening, on_start, on_end, early))
        else:
            self._start(client, opening, on_start, on_end, early, stream)

    def _start(
        self,
        client: socket.socket,
        opening: bytes,
        on_start: OnFlow,
        on_end: OnFlow,
        early: bytes,
        stream: socket.socket,
    ) -> None:
        try:
            flow = self._relay.forward(client, stream, opening, on_end, early)
        except StreamGoneError as error:
            self.forward(client, opening, on_start, on_end, error.early)
        except OSError as error:
            log.debug("a flow could not start: %s", error)
        else:
            on_start(flow)

    def _waited(
        self,
        client: socket.socket,
        opening: bytes,
        on_start: OnFlow,
        on_end: OnFlow,
        early: bytes,
        stream: socket.socket | None,
    ) -> None:
        if stream is None:
            reset_socket(client)
        else:
            self._start(client, opening, on_start, on_end, early, stream)


class OpenReader:
    """Waits on an authenticated stream for its opening, then hands the stream on.

    `on_gone` is told when it waits no more; it does again by `wait`. The stream of a TCP flow stays
    watched by `readiness`, for the relay that serves it or for `refuse`; any other is not watched
    any more. What comes with the opening is read with it, if `readiness` tells of that but once,
    and left with the stream.
    """

    __slots__ = ("_data", "_handler", "_most", "_on_gone", "_on_open", "_readiness", "_stream")

    def __init__(
        self,
        stream: socket.socket,
        on_open: Callable[[socket.socket, OpenRequest], None],
        on_gone: Callable[[OpenReader], None],
        readiness: Readiness | None = None,
    ) -> None:
        self._stream = stream
        self._on_open = on_open
        self._on_gone = on_gone
        self._handler = self._read
        self._readiness = readiness = readiness or LoopReadiness()
        reads_ahead = readiness.is_edge_triggered and isinstance(stream, Stream)
        self._most = OPEN_SIZE + READ_AHEAD if reads_ahead else OPEN_SIZE
        self.wait()

    def wait(self) -> None:
        """Wait for the first opening, or for the next once the stream has come home."""
        self._data = b""
        self._readiness.watch(self._stream.fileno(), self._handler)

    def close(self) -> None:
        """Give the stream up."""
        self._readiness.forget(self._stream.fileno())
        self._stream.close()

    def _read(self, mask: int) -> None:
        stream = self._stream
        try:
            more = stream.recv(self._most - len(self._data))
        except BlockingIOError:
            return
        except OSError:
            more = b""
        data = self._data = self._data + more
        if more and len(data) < OPEN_SIZE:
            return
        self._on_gone(self)
        try:
            request = OpenRequest.decode(data[:OPEN_SIZE])
        except WireError as error:
            if data:
                log.warning("a stream was ended: %s", error)
            self.close()
            return
        if self._most > OPEN_SIZE:
            stream.early = data[OPEN_SIZE:]  # type: ignore[attr-defined]
        if request.protocol != "tcp":
            self._readiness.unwatch(stream.fileno())
        elif mask & ENDING:
            self._readiness.rearm(stream.fileno())  # whoever has it next is to know
        self._on_open(stream, request)


def answer(
    relay: Relay,
    stream: socket.socket,
    address: str,
    port: int,
    on_end: Callable[[Flow], None],
) -> Flow | None:
    """Dial the real listener for an opened stream and join the two; a failure is a reset."""
    if shortages.refuse_flow():
        refuse(relay, stream)
        return None
    try:
        server = relay.ahead.dial(address, port)
        linger_not(server)
    except OSError as error:
        shortages.note(error)
        log.debug("no connection to %s port %d: %s", address, port, error)
        refuse(relay, stream)
        return None
    try:
        flow = relay.serve(stream, server, on_end)
    except OSError as error:
        log.warning("a flow could not start: %s", error)
        return None
    relay.ahead.prepare(address)
    return flow


def refuse(relay: Relay, stream: socket.socket) -> None:
    """Reset an opened stream: there is nothing that it may be joined to."""
    relay.readiness.forget(stream.fileno())
    reset_socket(stream)
