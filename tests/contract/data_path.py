"""The whole way of a flow in one loop, without the rules of either end: what it costs is ours.

    client ─▶ Acceptor ─▶ Forwarder ═ pool, streams ═ OpenReader ─▶ answer ─▶ server

Clients and servers belong to other threads. Counterpart: `test_costs.py`.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from link.acceptor import Acceptor, listen_tcp
from link.opening import Forwarder, OpenReader, answer
from link.pool import StreamPool
from link.relay.relay import Flow, linger_not
from link.relay.splice import SpliceRelay
from link.stream import Stream
from link.wire import OpenRequest
from tests.contract.relay_stage import streams

__all__ = ["DataPath"]

STREAMS: Final = 4
"""Kept ahead; more are made for those who wait."""


class DataPath:
    """Leads from `address` to a server on loopback. Make it in the running loop."""

    def __init__(self, server: tuple[str, int], *, may_be_raw: bool = True) -> None:
        self._may_be_raw = may_be_raw
        self.opener, self.listener = SpliceRelay(), SpliceRelay()
        self.pool = StreamPool(self._add_streams, self.opener.readiness)
        self.made = 0
        self._readers: set[OpenReader] = set()
        self._forwarder = Forwarder(self.pool, self.opener)
        self._opening = OpenRequest(*server).encode()
        for _ in range(STREAMS):
            self._add_stream()
        sock = listen_tcp("127.0.0.1", 0)
        linger_not(sock)
        self._acceptor = Acceptor(sock, self._accepted)
        self.address = self._acceptor.address

    @property
    def flows(self) -> int:
        """Flows now, at either end."""
        return self.opener.count + self.listener.count

    async def aclose(self) -> None:
        """End everything."""
        self._acceptor.close()
        self.pool.close()
        for reader in self._readers:
            reader.close()
        await self.opener.aclose()
        await self.listener.aclose()

    def _accepted(self, client: socket.socket) -> None:
        self._forwarder.forward(client, self._opening, _ignore, _ignore)

    def _add_streams(self) -> None:
        while self.pool.waiting:
            self._add_stream()

    def _add_stream(self) -> None:
        self.made += 1
        near, far = streams(may_be_raw=self._may_be_raw)
        readiness = self.listener.readiness
        reader = OpenReader(far, self._opened, self._readers.discard, readiness)
        self._readers.add(reader)
        far.home = partial(self._await_opening, reader)
        self.pool.put(near)

    def _await_opening(self, reader: OpenReader, _stream: Stream) -> None:
        self._readers.add(reader)
        reader.wait()

    def _opened(self, stream: socket.socket, request: OpenRequest) -> None:
        answer(self.listener, stream, request.address, request.port, _ignore)


def _ignore(_flow: Flow) -> None:
    """Nobody counts flows here."""
