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
from link.relay.framed import WHOLE_WORD, FromStream, ToStream, send_opening
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
from link.relay.settling import Settling, go_home
from link.stream import Stream
from link.wire import OPEN_SIZE

__all__ = ["SpliceFlow", "SpliceRelay"]

FLUSH_CHECK_SECONDS: Final = 0.005


class SpliceRelay(Relay):
    """See `Relay`. Make it inside the running loop.

    Attributes:
        opening, frame, payload: one buffer for all that is copied, with room in front for an
            opening and the header of a frame, and behind for an END.
    """

    name = "splice"

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.readiness: EpollReadiness
        self.readiness, self._close_readiness = open_epoll_readiness()
        self.pipes = PipePool()
        self.opening = memoryview(bytearray(OPEN_SIZE + HEADER.size + COPY_SIZE + HEADER.size))
        self.frame = self.opening[OPEN_SIZE:]
        self.payload = self.frame[HEADER.size : HEADER.size + COPY_SIZE]
        self._flows: set[SpliceFlow] = set()
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
            # First of all: while the other end works on it, there is time for the rest.
            size, unsent = send_opening(self, client, stream, opening, early)
        except StreamGoneError:
            self.close(stream)
            raise
        except OSError:
            self._give_up(client, stream)
            raise
        outgoing = ToStream(self, client, stream)
        outgoing.count = size
        flow = SpliceFlow(outgoing, FromStream(self, stream, client), on_end, is_served=False)
        self._watch(flow)
        if unsent:
            outgoing.keep(unsent)
        return flow

    def serve(
        self, stream: socket.socket, server: socket.socket, on_end: Callable[[Flow], None]
    ) -> Flow:
        """See `Relay.serve`."""
        incoming = FromStream(self, stream, server)
        flow = SpliceFlow(ToStream(self, server, stream), incoming, on_end, is_served=True)
        self._watch(flow)
        incoming.advance()  # there may be more behind the opening
        return flow

    @property
    def count(self) -> int:
        """See `Relay.count`."""
        return len(self._flows)

    async def aclose(self) -> None:
        """See `Relay.aclose`."""
        for flow in list(self._flows):
            flow.abort()
        for settling in list(self._settling):
            settling.close()
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

    def ended(self, flow: SpliceFlow) -> None:
        """Count it no more."""
        self._flows.discard(flow)

    def _watch(self, flow: SpliceFlow) -> None:
        try:
            self.readiness.watch(flow.outgoing.source.fileno(), flow.outgoing.on_event)
            self.readiness.watch(flow.incoming.source.fileno(), flow.incoming.on_event)
        except OSError:
            self._give_up(flow.outgoing.source, flow.incoming.source)
            raise
        self._flows.add(flow)

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
        outgoing: ToStream,
        incoming: FromStream,
        on_end: Callable[[Flow], None],
        *,
        is_served: bool,
    ) -> None:
        self.relay = outgoing.relay
        self.is_served = is_served
        self.is_over = False
        self.is_failing = False
        self.has_said_whole = False
        self._deadline = 0.0
        self._on_end = on_end
        self.outgoing = outgoing
        self.incoming = incoming
        outgoing.twin, incoming.twin = incoming, outgoing
        outgoing.flow = incoming.flow = self

    @property
    def from_first(self) -> int:
        """See `Flow`."""
        return self.incoming.count if self.is_served else self.outgoing.count

    @property
    def from_second(self) -> int:
        """See `Flow`."""
        return self.outgoing.count if self.is_served else self.incoming.count

    def abort(self) -> None:
        """See `Flow`."""
        if self.is_over:
            return
        self.is_over = True
        self.outgoing.discard()
        self.incoming.discard()
        self.relay.ended(self)
        self.relay.reset(self.outgoing.source)
        self.relay.reset(self.outgoing.sink)
        self._on_end(self)

    def finish(self) -> None:
        """Both sides said their end, and have all of the other's."""
        self.is_over = True
        self.relay.ended(self)
        self.relay.close(self.outgoing.source)
        stream = self._free_stream()
        if stream is None:
            end_in_order(self.outgoing.sink)
            self.relay.close(self.outgoing.sink)
            self._on_end(self)
            return
        self._on_end(self)
        unframer = self.incoming.unframer
        if not self.incoming.is_drained:
            self.relay.readiness.rearm(stream.fileno())
        if self.is_served or unframer is None or unframer.is_whole:
            go_home(stream)
        else:
            self.relay.settle(stream, unframer)

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

    def _free_stream(self) -> Stream | None:
        """The stream if it may carry another flow, and the other end is told so."""
        incoming, stream = self.incoming, self.outgoing.sink
        is_free = incoming.has_end and not incoming.ending and not self.outgoing.is_raw
        if not is_free or not isinstance(stream, Stream) or stream.home is None:
            return None
        return stream if self._say_whole(stream) else None

    def _say_whole(self, stream: Stream) -> bool:
        """True if the other end knows, or is the one to say so."""
        if not self.is_served or self.has_said_whole:
            return True
        try:
            return stream.send(WHOLE_WORD) == len(WHOLE_WORD)
        except OSError:  # no room, or gone: it will see the stream's end
            return False

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
