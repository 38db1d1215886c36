"""The relay for every platform: a pair of asyncio protocols per flow.

Rules: plain `asyncio.Protocol`, never `BufferedProtocol` (uvloop 0.21 to 0.23 abort with a
double free under connection churn). A side whose transport has more than HIGH_WATER bytes
unsent pauses the other side's reading: that bounds a flow's memory. Bytes that come before the
other side's transport exists are kept, since uvloop ignores pause_reading inside
connection_made (asyncio honours it since gh-103607).

What it puts into a stream is RAW from its first byte, or in frames to the last where a stream may
not be RAW. Either way a stream carries one flow only.

Limits: when writing to a side fails, the loop closes it, and what its peer said just before is
lost with it; `splice.py` reads that first. That a side which has said its end is reset shows at the
next write only. Counterpart: `splice.py`, for Linux.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from link.dial import error_words
from link.readiness import LoopReadiness, Readiness
from link.relay.frames import END, HEADER, MAX_PAYLOAD, RAW, Unframer
from link.relay.relay import (
    RESET_FLUSH_SECONDS,
    Flow,
    Relay,
    StreamGoneError,
    end_in_order,
    linger_not,
    reset_socket,
)
from link.stream import may_be_raw
from link.wire import WireError

__all__ = ["PortableRelay"]

HIGH_WATER: Final = 1 << 18
"""Unsent bytes of a side that pause the other's reading."""
FLUSH_CHECK_SECONDS: Final = 0.005


class PortableRelay(Relay):
    """See `Relay`. Make it inside the running loop.

    `unsent` tells how many bytes of a descriptor the kernel has not delivered yet, so that a
    reset does not overtake them; where the platform cannot tell, 0.
    """

    name = "portable"

    def __init__(self, unsent: Callable[[int], int] = lambda _descriptor: 0) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.readiness: Readiness = LoopReadiness()
        self.unsent = unsent
        self._flows: set[_Flow] = set()
        self._starts: set[asyncio.Task[None]] = set()

    def forward(
        self,
        client: socket.socket,
        stream: socket.socket,
        opening: bytes,
        on_end: Callable[[Flow], None],
        early: bytes = b"",
    ) -> Flow:
        """See `Relay.forward`."""
        self.readiness.unwatch(stream.fileno())
        try:
            # Few bytes into an empty send buffer always fit.
            stream.send(opening + _first_word(stream))
        except OSError as error:
            stream.close()
            raise StreamGoneError(early) from error
        flow = _Flow(self, _Side(client), _StreamSide(stream), on_end)
        flow.first.early = early
        flow.first.count = len(early)
        return self._start(flow)

    def serve(
        self, stream: socket.socket, server: socket.socket, on_end: Callable[[Flow], None]
    ) -> Flow:
        """See `Relay.serve`."""
        self.readiness.unwatch(stream.fileno())
        flow = _Flow(self, _StreamSide(stream), _Side(server), on_end)
        flow.second.early = _first_word(stream)
        return self._start(flow)

    def _start(self, flow: _Flow) -> Flow:
        self._flows.add(flow)
        task = self.loop.create_task(flow.start(), name="start of a flow")
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)
        return flow

    @property
    def count(self) -> int:
        """See `Relay.count`."""
        return len(self._flows)

    def forget(self, flow: _Flow) -> None:
        """A flow has ended."""
        self._flows.discard(flow)

    async def aclose(self) -> None:
        """See `Relay.aclose`."""
        self.ahead.close()
        ends = [flow.ended for flow in self._flows]
        for flow in list(self._flows):
            flow.abort()
        await asyncio.gather(*self._starts, *ends)


class _Side(asyncio.Protocol):
    """One socket of a flow. `early` holds what came before the other side could take it."""

    flow: _Flow
    twin: _Side

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.transport: asyncio.Transport | None = None
        self.early = b""
        self.count = 0
        self.at_end = False
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop reads for us from now on."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self.count += len(data)
        self.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        """Hand bytes to the other side, once it can take them."""
        if self.flow.is_started and self.twin.transport is not None:
            self.twin.write(data)
        else:
            self.early += data

    def write(self, data: bytes) -> None:
        """Send bytes of the flow to our peer."""
        if self.transport is not None:
            self.transport.write(data)

    def write_end(self) -> None:
        """Tell our peer that these were all."""
        if self.transport is not None:
            self.transport.write_eof()

    def eof_received(self) -> bool:
        """Pass end-of-file on; True keeps our own writing half open."""
        self.at_end = True
        if self.flow.is_started:
            self.flow.pass_end(self)
        return True

    def pause_writing(self) -> None:
        """Our peer is slow: read no more for it."""
        if self.twin.transport is not None:
            self.twin.transport.pause_reading()

    def resume_writing(self) -> None:
        """Our peer caught up."""
        if self.twin.transport is not None and not self.twin.transport.is_closing():
            self.twin.transport.resume_reading()

    def close(self) -> None:
        """Close in order, once all is sent."""
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The loop closes the socket now: in order, or because of an error."""
        if self.flow.is_orderly:
            end_in_order(self.sock)
        self.is_closed = True
        self.flow.side_closed(self)

    def is_flushed(self) -> bool:
        """True once our peer has everything."""
        if self.transport is None or self.is_closed:
            return True
        unsent = self.flow.relay.unsent(self.sock.fileno())
        return not self.transport.get_write_buffer_size() and not unsent

    def reset(self) -> None:
        """Close with a reset."""
        if self.is_closed:
            return
        if self.transport is None:
            self.is_closed = True
            reset_socket(self.sock)
            return
        linger_not(self.sock)
        self.transport.abort()


class _StreamSide(_Side):
    """The side of a flow that is a stream."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._is_framed = not may_be_raw(sock)
        linger_not(sock)  # where there are no frames, its end-of-file is the flow's
        self._has_said_end = False
        self._unframer = Unframer(may_be_raw=may_be_raw(sock))

    def write(self, data: bytes) -> None:
        """See `_Side.write`."""
        if not self._is_framed or self.transport is None:
            super().write(data)
            return
        for start in range(0, len(data), MAX_PAYLOAD):  # what came early may be longer
            part = data[start : start + MAX_PAYLOAD]
            self.transport.writelines((HEADER.pack(len(part)), part))

    def write_end(self) -> None:
        """See `_Side.write_end`."""
        self._has_said_end = True
        if self._is_framed and self.transport is not None:
            self.transport.write(HEADER.pack(END))
        else:
            super().write_end()

    def close(self) -> None:
        """See `_Side.close`, which is an end only where there are no frames."""
        if self._is_framed and not self._has_said_end and not self.is_closed:
            self.write_end()
        super().close()

    def data_received(self, data: bytes) -> None:
        """See `_Side.data_received`."""
        try:
            parts = self._unframer.feed(memoryview(data))
        except WireError:
            self.reset()
            return
        for part in parts:
            super().data_received(bytes(part))
        if self._unframer.is_ended and not self.at_end:
            super().eof_received()

    def eof_received(self) -> bool:
        """See `_Side.eof_received`. A stream that ends without a word has lost the flow."""
        if self._unframer.is_raw:
            return super().eof_received()
        if not self._unframer.is_ended:
            self.reset()
        return True


class _Flow(Flow):
    """Two sides, and how the flow ends."""

    def __init__(
        self,
        relay: PortableRelay,
        first: _Side,
        second: _Side,
        on_end: Callable[[Flow], None],
    ) -> None:
        self.relay = relay
        self.ended: asyncio.Future[None] = relay.loop.create_future()
        self._on_end = on_end
        self._deadline = 0.0
        self.is_started = False
        self.is_orderly = False
        self._is_aborted = False
        self._connecting: asyncio.Future[None] | None = None
        self.first, self.second = first, second
        first.twin, second.twin = second, first
        first.flow = second.flow = self

    @property
    def from_first(self) -> int:
        """See `Flow`."""
        return self.first.count

    @property
    def from_second(self) -> int:
        """See `Flow`."""
        return self.second.count

    async def start(self) -> None:
        """Connect both sides to the loop, and hand over what came early.

        Never cancelled: uvloop closes the descriptor of a socket whose create_connection is
        cancelled, and the number may be another socket's by the time we close ours.
        """
        try:
            await self._wait_connected()
            for side in (self.second, self.first):
                if self._is_aborted:
                    break
                await self.relay.loop.create_connection(lambda side=side: side, sock=side.sock)  # type: ignore[misc]
        except OSError:
            self._is_aborted = True
        if self._is_aborted:
            self.abort()
            return
        self.is_started = True
        sides = (self.first, self.second)
        for side in sides:
            early, side.early = side.early, b""
            if early:
                side.twin.write(early)
        for side in sides:
            if side.at_end:
                self.pass_end(side)

    def abort(self) -> None:
        """See `Flow`."""
        self._is_aborted = True
        if self._connecting is not None:
            if not self._connecting.done():
                self._connecting.set_result(None)
            return
        self.first.reset()
        self.second.reset()
        self._end_if_closed()

    async def _wait_connected(self) -> None:
        """Until the second socket's connect has ended. Raises OSError if it failed."""
        sock = self.second.sock
        self._connecting = waiting = self.relay.loop.create_future()
        self.relay.loop.add_writer(
            sock.fileno(), lambda: None if waiting.done() else waiting.set_result(None)
        )
        await waiting
        self.relay.loop.remove_writer(sock.fileno())
        self._connecting = None
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, error_words(error))
        if not self._is_aborted:
            sock.getpeername()

    def pass_end(self, side: _Side) -> None:
        """`side` said end-of-file: tell the other's peer; two of them end the flow."""
        if side.twin.transport is None or side.transport is None or self.ended.done():
            return
        if side.twin.at_end:
            self.is_orderly = True
            side.close()
            side.twin.close()
        elif not side.twin.is_closed:
            side.twin.write_end()

    def side_closed(self, side: _Side) -> None:
        """Called by a side whose socket is gone."""
        if not self.is_started:
            self._is_aborted = True  # and `start` sees to the rest
        elif not self.is_orderly and not side.twin.is_closed and not self._deadline:
            self._deadline = self.relay.loop.time() + RESET_FLUSH_SECONDS
            self._reset_when_flushed(side.twin)
        self._end_if_closed()

    def _reset_when_flushed(self, side: _Side) -> None:
        if side.is_closed:
            return
        if side.is_flushed() or self.relay.loop.time() >= self._deadline:
            side.reset()
        else:
            self.relay.loop.call_later(FLUSH_CHECK_SECONDS, self._reset_when_flushed, side)

    def _end_if_closed(self) -> None:
        if self.first.is_closed and self.second.is_closed and not self.ended.done():
            self.ended.set_result(None)
            self.relay.forget(self)
            self._on_end(self)


def _first_word(stream: socket.socket) -> bytes:
    """What comes before the flow's bytes in a stream."""
    return HEADER.pack(RAW) if may_be_raw(stream) else b""
