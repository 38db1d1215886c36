"""UDP servers of this computer that containers reach: the desktop's end of flows from stubs.

Rules: a stream leads to what the rules said when it was opened, and ends with its stub, in the
machine or here: what is revoked can be reached no more, whatever the agent holds open.
Counterpart in the machine: the stubs' `Front`s.
"""

from __future__ import annotations

import socket
from collections import defaultdict

from desktop.daemon.traffic import Traffic
from desktop.mirror.model import Binding, Target
from link.datagrams.back import Back
from link.datagrams.flows import Limits
from link.datagrams.sockets import DatagramSockets

__all__ = ["UdpServers"]


class UdpServers:
    """The open streams of UDP flows of origin host, by mirror."""

    def __init__(self, sockets: DatagramSockets, limits: Limits, traffic: Traffic) -> None:
        self._sockets = sockets
        self._limits = limits
        self._traffic = traffic
        self._open: defaultdict[Binding, set[Back]] = defaultdict(set)

    def opened(self, binding: Binding, stream: socket.socket, target: Target) -> None:
        """Serve the flows of a stream, which is owned from now on."""

        def ended(back: Back) -> None:
            self._open[binding].discard(back)

        back = Back(
            self._sockets,
            stream,
            target.address,
            target.port,
            limits=self._limits,
            watch=self._traffic.watch(binding),
            on_end=ended,
        )
        self._open[binding].add(back)
        self._traffic.meter(binding, lambda: self._dropped(binding))

    def close(self, binding: Binding) -> None:
        """The mirror goes: send on what its server has said, and end its flows."""
        for back in self._open.pop(binding, set()):
            back.drain()
            back.close()

    def close_all(self) -> None:
        """End every flow."""
        for binding in list(self._open):
            self.close(binding)

    def _dropped(self, binding: Binding) -> int:
        return sum(back.dropped for back in self._open.get(binding, ()))
