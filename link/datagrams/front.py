"""The clients' end of UDP flows: a mirror on the desktop, a stub in the machine.

    client ─▶ Listening ─▶ flow by client ─▶ DatagramStream ══▶ Back
    client ◀─ Listening ◀─ flow by number ◀─ DatagramStream ◀══

Rules: a flow per client and address it spoke to; it keeps its number, and so the server sees one
source port, until both directions have been silent for the limit, or it is evicted. Where flows
lead is asked anew for each new one; when the answer has changed, those of the old one end. The
stream is drawn from the pool with the first datagram; without one, datagrams wait in its bounded
queue. Counterpart: `back.py`.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from time import monotonic

from link.datagrams.flow import DatagramFlow, Watch
from link.datagrams.flows import FlowTable, Limits
from link.datagrams.frames import DATA, MAX_FLOW, Kind
from link.datagrams.sockets import Buffer, ClientKey, DatagramSockets, Peer, Train
from link.datagrams.stream import DatagramStream
from link.datagrams.sweep import Sweep
from link.pool import StreamPool
from link.wire import OpenRequest

__all__ = ["Front"]

log = logging.getLogger(__name__)


class _FrontFlow(DatagramFlow):
    """A flow with the client it belongs to."""

    def __init__(self, number: int, key: ClientKey, peer: Peer) -> None:
        super().__init__(number)
        self.key = key
        self.peer = peer


class Front:
    """One mirror or stub. Construction binds, and raises OSError. `close` before dropping it.

    `target` says what a new flow should open at the other end; None for nothing.
    """

    def __init__(
        self,
        sockets: DatagramSockets,
        address: str,
        port: int,
        *,
        target: Callable[[], OpenRequest | None],
        pool: StreamPool,
        limits: Limits,
        watch: Watch,
    ) -> None:
        self._pool = pool
        self._watch = watch
        self._target = target
        self._flows: FlowTable[ClientKey, _FrontFlow] = FlowTable(limits)
        self._by_number: dict[int, _FrontFlow] = {}
        self._last_number = 0
        self._request: OpenRequest | None = None
        self._is_waiting = False
        self._is_closed = False
        self._sweep = Sweep(self._flows, self._end_flows)
        self._stream = DatagramStream(self._answered, self._told, self._stream_ended)
        self._listening = sockets.listen(address, port, self._arrived)
        self._listening.on_lone = self._pass

    @property
    def inodes(self) -> frozenset[int]:
        """The sockets it listens on."""
        return self._listening.inodes

    @property
    def is_guarded(self) -> bool:
        """See `Listening.is_guarded`."""
        return self._listening.is_guarded

    @property
    def count(self) -> int:
        """Flows now."""
        return len(self._flows)

    @property
    def dropped(self) -> int:
        """Datagrams that were not passed on so far, in either direction, on either end."""
        return self._stream.dropped_here + self._stream.dropped_there + self._listening.dropped

    def close(self) -> None:
        """Free the port, after what has arrived for clients was delivered."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stream.drain()
        self._listening.close()
        self._stream.close()
        self._sweep.close()
        self._by_number.clear()
        for flow in self._flows.take_all():
            self._watch.ended(flow)

    # ---- from clients

    def _arrived(self, trains: Sequence[Train]) -> None:
        now, heard, stream = monotonic(), self._flows.heard, self._stream
        stream.hold()
        for key, parts, size, segment in trains:  # `_pass`, without a call for each
            flow = heard(key, now) or self._begin(key, now)
            if flow is None:
                continue
            if not stream.is_attached:
                self._draw()
            flow.first_bytes += size
            stream.send(DATA, flow.number, parts, size, segment)
        stream.flush()

    def _pass(self, key: ClientKey, parts: Sequence[Buffer], size: int, segment: int) -> None:
        now = monotonic()
        flow = self._flows.heard(key, now) or self._begin(key, now)
        if flow is None:
            return
        if not self._stream.is_attached:
            self._draw()
        flow.first_bytes += size
        self._stream.send(DATA, flow.number, parts, size, segment)

    def _begin(self, key: ClientKey, now: float) -> _FrontFlow | None:
        peer = self._listening.peer(key)
        request = self._target()
        if request is None:
            self._listening.refuse(peer)
            return None
        self._lead_to(request)
        flow = _FrontFlow(self._next_number(), key, peer)
        evicted = self._flows.add(key, flow, now)
        self._end_flows(evicted, Kind.EVICTED)
        if evicted:
            self._watch.evicted(len(evicted))
        self._by_number[flow.number] = flow
        self._watch.started(flow)
        self._sweep.arm()
        return flow

    def _next_number(self) -> int:
        while True:
            self._last_number = self._last_number % MAX_FLOW + 1
            if self._last_number not in self._by_number:
                return self._last_number

    def _lead_to(self, request: OpenRequest) -> None:
        """From now on lead to where `request` says."""
        if request != self._request and self._request is not None:
            self._end_flows(self._flows.take_all())
            self._stream.flush()  # what came before is for the old one
            self._stream.detach()
            self._stream.drop_waiting()
        self._request = request

    def _draw(self) -> None:
        """Have a stream, now or soon, if there is anything for one. There is none."""
        if not self._is_waiting and self._request is not None:
            self._is_waiting = True
            self._pool.take(self._attach)

    def _attach(self, stream: socket.socket | None) -> None:
        self._is_waiting = False
        request = self._request
        if self._is_closed or stream is None or request is None:
            if stream is not None:
                stream.close()
            self._stream.drop_waiting()
            return
        try:
            stream.send(request.encode())
        except OSError:
            # The stream died while idle and its end had not been seen yet.
            stream.close()
            self._is_waiting = True
            self._pool.take(self._attach)
            return
        self._stream.attach(stream)

    # ---- from the other end

    def _answered(self, number: int, segment: int, payload: memoryview) -> None:
        flow = self._by_number.get(number)
        if flow is None:
            return
        self._flows.heard(flow.key, monotonic())
        flow.second_bytes += len(payload)
        unsent = self._listening.send(flow.peer, payload, segment)
        if unsent:
            self._stream.lose(unsent)

    def _told(self, kind: int, number: int) -> None:
        flow = self._by_number.get(number)
        if flow is None:
            return
        if kind == Kind.REFUSED:
            self._listening.refuse(flow.peer)
        else:
            self._flows.remove(flow.key)
            self._end_flows([flow])  # said there, too: what was on its way began it anew

    def _stream_ended(self, reason: str) -> None:
        """Flows live on; the next datagram draws another stream."""
        log.info("a stream of datagrams ended: %s", reason)
        self._stream.drop_waiting()  # by then it would be old

    # ---- ends

    def _end_flows(self, flows: Sequence[_FrontFlow], kind: Kind = Kind.END) -> None:
        """End flows that are no longer in the table."""
        self._stream.send_words(kind, [flow.number for flow in flows])
        for flow in flows:
            del self._by_number[flow.number]
            self._watch.ended(flow)
