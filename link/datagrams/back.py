"""The servers' end of UDP flows: a socket per flow, connected to the real server.

    Front ══▶ DatagramStream ─▶ flow by number ─▶ Connected ─▶ server
    Front ◀══ DatagramStream ◀─ flow by number ◀─ Connected ◀─ server

Rules: the server is a loopback address, decided by this end when the stream was opened; the
other end names flows by number only. A flow begins with its first datagram and ends when the
other end says so; at the limit the quarter silent longest makes room. Should the other end's word
be lost, a flow ends GRACE_SECONDS after it should have. A server that is not there is told to the
client, and tried again with the next datagram. Counterpart: `front.py`.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final

from link.datagrams.flow import DatagramFlow, Watch
from link.datagrams.flows import FlowTable, Limits
from link.datagrams.frames import DATA, Kind
from link.datagrams.sockets import (
    Buffer,
    ClientKey,
    Connected,
    DatagramSockets,
    Train,
    datagrams_in,
)
from link.datagrams.stream import DatagramStream
from link.datagrams.sweep import Sweep

__all__ = ["GRACE_SECONDS", "Back"]

GRACE_SECONDS: Final = 10.0
"""That a flow lives longer here than the limit, for the other end's word to come first."""

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
        self._sockets = sockets
        self._server = address, port
        self._watch = watch
        self._on_end = on_end
        self._is_short = False
        self._flows: FlowTable[int, _BackFlow] = FlowTable(limits)
        self._sweep = Sweep(self._flows, self._give_up, GRACE_SECONDS)
        self._stream = DatagramStream(self._asked, self._told, self._stream_ended)
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
        self._sweep.close()
        self._stream.close()
        self._end_flows(self._flows.take_all())

    def _asked(self, number: int, segment: int, payload: memoryview) -> None:
        now = monotonic()
        flow = self._flows.heard(number, now) or self._begin(number, now)
        if flow is None:
            self._stream.lose(datagrams_in(len(payload), segment))
            return
        flow.first_bytes += len(payload)
        unsent = flow.socket.send(payload, segment)
        if unsent:
            self._stream.lose(unsent)

    def _told(self, kind: int, number: int) -> None:
        """The other end says what has become of a flow."""
        flow = self._flows.remove(number) if kind in (Kind.END, Kind.EVICTED) else None
        if flow is not None:
            self._end_flows([flow])
            if kind == Kind.EVICTED:
                self._watch.evicted(1)

    def _begin(self, number: int, now: float) -> _BackFlow | None:
        if not self._stream.is_attached:
            return None
        flow = _BackFlow(number)
        try:
            flow.socket = self._sockets.connect(
                *self._server, partial(self._replied, flow), partial(self._refused, flow)
            )
        except OSError as error:
            if not self._is_short:
                log.warning("no socket to %s port %d: %s", *self._server, error)
            self._is_short = True
            return None
        flow.socket.on_lone = partial(self._pass, flow)
        self._is_short = False
        evicted = self._flows.add(number, flow, now)
        if evicted:
            self._give_up(evicted)
            self._watch.evicted(len(evicted))
        self._watch.started(flow)
        self._sweep.arm()
        return flow

    def _replied(self, flow: _BackFlow, trains: Sequence[Train]) -> None:
        self._stream.hold()
        for key, parts, size, segment in trains:
            self._pass(flow, key, parts, size, segment)
        self._stream.flush()

    def _pass(
        self, flow: _BackFlow, _key: ClientKey, parts: Sequence[Buffer], size: int, segment: int
    ) -> None:
        if self._flows.heard(flow.number, monotonic()) is flow:
            flow.second_bytes += size
            self._stream.send(DATA, flow.number, parts, size, segment)

    def _refused(self, flow: _BackFlow) -> None:
        self._stream.send(Kind.REFUSED, flow.number)

    def _give_up(self, flows: Sequence[_BackFlow]) -> None:
        """End flows that are no longer in the table, and say so."""
        self._stream.send_words(Kind.END, [flow.number for flow in flows])
        self._end_flows(flows)

    def _end_flows(self, flows: Sequence[_BackFlow]) -> None:
        for flow in flows:
            self._stream.lose(flow.socket.dropped)
            flow.socket.close()
            self._watch.ended(flow)

    def _stream_ended(self, reason: str) -> None:
        log.debug("a stream of datagrams ended: %s", reason)
        self.close()
        self._on_end(self)
