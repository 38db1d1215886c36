"""The Linux relay: the kernel moves the bytes, readiness says when.

    EpollReadiness ─▶ Half.on_event     one direction of a flow: `halves.py`, `framed.py`
    SpliceFlow       two halves, and how a flow ends

Limits: Linux, Python 3.9, any asyncio loop with add_reader, best on `link.loop.DirectLoop`.
Counterpart: `portable.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from link.loop import open_epoll_readiness
from link.readiness import EpollReadiness
from link.relay.framed import WHOLE_WORD, FromStream, ToStream, say_early, send_opening
from link.relay.frames import HEADER, Unframer
from link.relay.halves import COPY_SIZE, Half
from link.relay.kernel import PipePool, unsent_bytes
from link.relay.relay import (
    RESET_FLUSH_SECONDS,
    Flow,
    Relay,
    StreamGoneError,
    end_in_order,
    reset_socket,
)
from link.relay.settling import Settling
from link.stream import Stream, may_come_home, take_early
from link.wire import OPEN_SIZE

__all__ = ["SpliceFlow", "SpliceRelay"]

FLUSH_CHECK_SECONDS: Final = 0.005

MAX_SPARE_HALVES: Final = 64
"""Pairs of halves kept for the next flow: to make two takes as long as half of what begins one."""

_close_socket: Final = socket.SocketType.close
"""What `close` of a socket without files (`makefile`) comes to."""


class SpliceRelay(Relay):
    """See `Relay`. Make it inside the running loop.

    Attributes:
        opening, frame, payload: one buffer for all that is copied, with room in front for an
            opening and the header of a frame, and behind for an END.
        flows: those that are open.
        spare: halves of short flows that are over, as they were left, for the next.
    """

    name = "splice"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.readiness: EpollReadiness
        self.readiness, self._close_readiness = open_epoll_readiness()
        self.pipes = PipePool()
        self.opening = memoryview(bytearray(OPEN_SIZE + HEADER.size + COPY_SIZE + HEADER.size))
        self.frame = self.opening[OPEN_SIZE:]
        self.payload = self.frame[HEADER.size : HEADER.size + COPY_SIZE]
        self.flows: set[SpliceFlow] = set()
        self.spare: list[tuple[ToStream, FromStream]] = []
        self._settling: set[Settling] = set()

    def forward(
        self,
        client: socket.socket,
        stream: socket.socket,
        opening: bytes,
        on_end: Callable[[Flow], None],
        early: bytes = b"",
    ) -> Flow:
        """See `Relay.forward`."""
        try:
            if self.before_words is not None:
                self.before_words()
            # First of all: while the other end works on it, there is time for the rest.
            size, unsent = send_opening(self, client, stream, opening, early)
        except StreamGoneError:
            self.close(stream)
            raise
        except OSError:
            self._give_up(client, stream)
            raise
        flow = self._begin(client, stream, on_end, is_served=False)
        flow.outgoing.count = size
        if unsent:
            flow.outgoing.keep(unsent)
        return flow

    def serve(
        self, stream: socket.socket, server: socket.socket, on_end: Callable[[Flow], None]
    ) -> Flow:
        """See `Relay.serve`."""
        early, is_drained = take_early(stream)
        # First of all: while the server works on it, there is time for the rest.
        said = say_early(server, early)
        flow = self._begin(server, stream, on_end, is_served=True)
        if early:
            flow.incoming.begin(early, said)
        if not is_drained:
            flow.incoming.advance()
        return flow

    @property
    def count(self) -> int:
        """See `Relay.count`."""
        return len(self.flows)

    async def aclose(self) -> None:
        """See `Relay.aclose`."""
        for flow in list(self.flows):
            flow.abort()
        for settling in list(self._settling):
            settling.close()
        self.spare.clear()
        self.ahead.close()
        self._close_readiness()
        self.pipes.close()

    def close(self, sock: socket.socket) -> None:
        """Close a flow's socket in order."""
        self.readiness.forget(sock.fileno())
        sock.close()

    def reset(self, sock: socket.socket) -> None:
        """Close a flow's socket with a reset."""
        self.readiness.forget(sock.fileno())
        reset_socket(sock)

    def settle(self, stream: Stream, unframer: Unframer) -> None:
        """Send a stream home once the other end says that it is whole."""
        self._settling.add(Settling(stream, unframer, self.readiness, self._settling.discard))

    def _begin(
        self,
        near: socket.socket,
        stream: socket.socket,
        on_end: Callable[[Flow], None],
        *,
        is_served: bool,
    ) -> SpliceFlow:
        flow = SpliceFlow(self, near, stream, on_end, is_served)
        try:
            self.readiness.watch(near.fileno(), flow.outgoing.handler)
            self.readiness.watch(stream.fileno(), flow.incoming.handler)
        except OSError:
            self._give_up(near, stream)
            raise
        self.flows.add(flow)
        return flow

    def _give_up(self, *sockets: socket.socket) -> None:
        """Those of a flow that could not begin."""
        for sock in sockets:
            self.reset(sock)


class SpliceFlow(Flow):
    """Two halves, and how they end.

    Attributes:
        is_served: the stream is the first side; else the client is.
        is_failing: a side is gone, and the other will be reset.
        has_said_whole: the other end knows already that the stream will be free.
        is_over: both sockets are gone, or somebody else's.
    """

    __slots__ = (
        "_deadline",
        "_on_end",
        "_totals",
        "has_said_whole",
        "incoming",
        "is_failing",
        "is_over",
        "is_served",
        "outgoing",
        "relay",
    )

    def __init__(
        self,
        relay: SpliceRelay,
        near: socket.socket,
        stream: socket.socket,
        on_end: Callable[[Flow], None],
        is_served: bool,
    ) -> None:
        self.relay = relay
        self.is_served = is_served
        self.is_over = self.is_failing = self.has_said_whole = False
        self._on_end = on_end
        if relay.spare:
            outgoing, incoming = relay.spare.pop()
            # All else is as it was made, or `finish` would not have kept them.
            outgoing.count = incoming.count = 0
            outgoing.ending = outgoing.is_hung_up = outgoing.is_ended = outgoing.is_done = False
            incoming.ending = incoming.is_hung_up = incoming.is_ended = incoming.is_done = False
            incoming.has_end = False
        else:
            outgoing, incoming = ToStream(relay), FromStream(relay)
            outgoing.twin, incoming.twin = incoming, outgoing
        self.outgoing, self.incoming = outgoing, incoming
        outgoing.flow = incoming.flow = self
        outgoing.source = incoming.sink = near
        outgoing.sink = incoming.source = stream

    @property
    def from_first(self) -> int:
        """See `Flow`."""
        if self.is_over:
            return self._totals[self.is_served]
        return self.incoming.count if self.is_served else self.outgoing.count

    @property
    def from_second(self) -> int:
        """See `Flow`."""
        if self.is_over:
            return self._totals[not self.is_served]
        return self.outgoing.count if self.is_served else self.incoming.count

    def abort(self) -> None:
        """See `Flow`."""
        if self.is_over:
            return
        outgoing, incoming, relay = self.outgoing, self.incoming, self.relay
        outgoing.discard()
        incoming.discard()
        self.is_over = True
        self._totals = outgoing.count, incoming.count
        relay.flows.discard(self)
        relay.reset(outgoing.source)
        relay.reset(outgoing.sink)
        self._on_end(self)

    def finish(self) -> None:
        """Both sides said their end, and have all of the other's."""
        outgoing, incoming, relay = self.outgoing, self.incoming, self.relay
        self.is_over = True
        self._totals = outgoing.count, incoming.count
        relay.flows.discard(self)
        near, stream, unframer = outgoing.source, outgoing.sink, incoming.unframer
        relay.readiness.forget(near.fileno())
        _close_socket(near)
        if not isinstance(stream, Stream) or (home := self._home_of(stream)) is None:
            end_in_order(stream)
            relay.close(stream)
            self._on_end(self)
            return
        self._on_end(self)
        if not incoming.is_drained:
            relay.readiness.rearm(stream.fileno())
        if self.is_served or unframer is None or unframer.is_whole:
            home(stream)
        else:
            relay.settle(stream, unframer)
        # Last of all: those that called them are at their ends, and a flow that `home` has begun
        # could not take them from under their feet.
        is_long = outgoing.bulk or incoming.bulk or not incoming.is_drained
        if unframer is None and not is_long and len(relay.spare) < MAX_SPARE_HALVES:
            relay.spare.append((outgoing, incoming))

    def source_failed(self, half: Half) -> None:
        """`half`'s source is gone: reset its sink, once that has what was read before."""
        half.is_ended = True
        half.twin.discard()
        self._fail(half)

    def sink_failed(self, half: Half) -> None:
        """`half`'s sink takes nothing any more, but may have said something before it went."""
        half.discard()
        half.twin.ending = True
        self._fail(half.twin)

    def _home_of(self, stream: Stream) -> Callable[[Stream], None] | None:
        """Where the stream goes if it may carry another flow, and the other end is told so."""
        incoming = self.incoming
        is_free = incoming.has_end and not incoming.ending and not self.outgoing.is_raw
        if not is_free:
            return None
        if not self.is_served or self.has_said_whole:
            return stream.home  # the other end is the one to say so, or knows
        if not may_come_home(stream):
            return None
        try:
            return stream.home if stream.send(WHOLE_WORD) == len(WHOLE_WORD) else None
        except OSError:  # no room, or gone: it will see the stream's end
            return None

    def _fail(self, last: Half) -> None:
        """The flow ends with a reset of `last`'s sink, after what `last` still has for it."""
        if self.is_failing or self.is_over:
            return
        self.is_failing = True
        self._deadline = self.relay.loop.time() + RESET_FLUSH_SECONDS
        self.relay.loop.call_soon(self._flush_before_reset, last)

    def _flush_before_reset(self, last: Half) -> None:
        if self.is_over:
            return
        last.advance()
        if self.relay.loop.time() >= self._deadline or self._is_delivered(last):
            self.abort()
        else:
            self.relay.loop.call_later(FLUSH_CHECK_SECONDS, self._flush_before_reset, last)

    def _is_delivered(self, last: Half) -> bool:
        return last.is_ended and not last.is_blocked and not unsent_bytes(last.sink.fileno())
