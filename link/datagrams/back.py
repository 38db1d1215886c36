"""The servers' end of UDP flows: a socket per flow, connected to the real server.

    Front ══▶ DatagramStream ─▶ flow by number ─▶ Connected ─▶ server
    Front ◀══ DatagramStream ◀─ flow by number ◀─ Connected ◀─ server

Rules: the server is a loopback address, decided by this end when the stream was opened; the
other end names flows by number only. A flow begins with its first datagram and ends when the
other end says so; at the limit the quarter silent longest makes room. A server that is not there
is told to the client, and tried again with the next datagram. Counterpart: `front.py`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from link.datagrams.flow import DatagramFlow, Watch
from link.datagrams.flows import FlowTable, Limits
from link.datagrams.frames import Frame, Kind
from link.datagrams.sockets import Connected, DatagramSockets, Train
from link.datagrams.stream import DatagramStream

__all__ = ["Back"]

log = logging.getLogger(__name__)


class _BackFlow(DatagramFlow):
    """A flow with its socket."""

    socket: Connected


class Back:
    """One opened stream's flows. Owns the stream; `on_end` is told when that has ended."""

    def __init__(
        self,
        sockets: DatagramSockets,
        stream: socket.socket,
        address: str,
        port: int,
        *,
        limits: Limits,
        watch: Watch,
        on_end: Callable[[Back], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._server = address, port
        self._watch = watch
        self._on_end = on_end
        self._is_short = False
        self._flows: FlowTable[int, _BackFlow] = FlowTable(limits)
        self._stream = DatagramStream(self._frames, self._stream_ended)
        self._stream.attach(stream)

    @property
    def count(self) -> int:
        """Flows now."""
        return len(self._flows)

    @property
    def dropped_here(self) -> int:
        """Datagrams that this end did not pass on so far."""
        return self._stream.dropped_here

    @property
    def dropped_there(self) -> int:
        """The same of the other end, over all its streams, as far as it has told."""
        return self._stream.dropped_there

    def drain(self) -> None:
        """Send on, now, what servers have said."""
        for flow in self._flows.all():
            flow.socket.drain()

    def close(self) -> None:
        """End the stream and every flow."""
        self._stream.close()
        self._end_flows(self._flows.take_all())

    def _frames(self, frames: list[Frame]) -> None:
        now = self._loop.time()
        for frame in frames:
            if frame.kind == Kind.DATA:
                self._data(frame, now)
            elif frame.kind in (Kind.END, Kind.EVICTED):
                self._end(frame)

    def _end(self, frame: Frame) -> None:
        flow = self._flows.remove(frame.flow)
        if flow is not None:
            self._end_flows([flow])
            if frame.kind == Kind.EVICTED:
                self._watch.evicted(1)

    def _data(self, frame: Frame, now: float) -> None:
        flow = self._flows.get(frame.flow)
        if flow is None:
            flow = self._begin(frame.flow, now)
            if flow is None:
                self._stream.lose(frame.datagrams)
                return
        else:
            self._flows.touch(frame.flow, now)
        flow.first_bytes += len(frame.payload)
        unsent = flow.socket.send(frame.payload, frame.segment)
        if unsent:
            self._stream.lose(unsent)

    def _begin(self, number: int, now: float) -> _BackFlow | None:
        flow = _BackFlow(number)
        try:
            flow.socket = self._sockets.connect(
                *self._server,
                lambda trains: self._replied(flow, trains),
                lambda: self._refused(flow),
            )
        except OSError as error:
            if not self._is_short:
                log.warning("no socket to %s port %d: %s", *self._server, error)
            self._is_short = True
            return None
        self._is_short = False
        evicted = self._flows.add(number, flow, now)
        for each in evicted:
            self._stream.add(Kind.END, each.number)
        self._end_flows(evicted)
        if evicted:
            self._stream.flush()
            self._watch.evicted(len(evicted))
        self._watch.started(flow)
        return flow

    def _replied(self, flow: _BackFlow, trains: Sequence[Train]) -> None:
        if self._flows.get(flow.number) is not flow:
            return
        self._flows.touch(flow.number, self._loop.time())
        for train in trains:
            flow.second_bytes += train.size
            self._stream.add(Kind.DATA, flow.number, train.parts, train.size, train.segment)
        self._stream.flush()

    def _refused(self, flow: _BackFlow) -> None:
        self._stream.add(Kind.REFUSED, flow.number)
        self._stream.flush()

    def _end_flows(self, flows: Sequence[_BackFlow]) -> None:
        for flow in flows:
            self._stream.lose(flow.socket.dropped)
            flow.socket.close()
            self._watch.ended(flow)

    def _stream_ended(self, reason: str) -> None:
        log.debug("a stream of datagrams ended: %s", reason)
        self.close()
        self._on_end(self)
