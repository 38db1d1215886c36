"""UDP servers of this computer that containers reach: the desktop's end of flows from stubs.

Rules: a stream leads to what the rules said when it was opened, and ends with its stub, in the
machine or here: what is revoked can be reached no more, whatever the agent holds open.
Counterpart in the machine: the stubs' `Front`s.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from dataclasses import dataclass, field

from desktop.daemon.traffic import Traffic
from desktop.mirror.model import Binding, Target
from link.datagrams.back import Back
from link.datagrams.flows import Limits
from link.datagrams.sockets import DatagramSockets

__all__ = ["UdpServers"]


@dataclass(slots=True)
class _Served:
    """The streams of one mirror, and what those that ended have dropped, on either side."""

    backs: set[Back] = field(default_factory=set)
    dropped_here: int = 0
    dropped_there: int = 0

    def ended(self, back: Back) -> None:
        """A stream is over. The other side's count goes on with its next one."""
        self.backs.discard(back)
        self.dropped_here += back.dropped_here
        self.dropped_there = max(self.dropped_there, back.dropped_there)

    def dropped(self) -> int:
        """Datagrams not passed on so far, in either direction."""
        here = sum(back.dropped_here for back in self.backs)
        there = max((back.dropped_there for back in self.backs), default=0)
        return self.dropped_here + here + max(self.dropped_there, there)


class UdpServers:
    """The open streams of UDP flows of origin host, by mirror."""

    def __init__(self, sockets: DatagramSockets, limits: Limits, traffic: Traffic) -> None:
        self._sockets = sockets
        self._limits = limits
        self._traffic = traffic
        self._open: defaultdict[Binding, _Served] = defaultdict(_Served)

    def opened(self, binding: Binding, stream: socket.socket, target: Target) -> None:
        """Serve the flows of a stream, which is owned from now on."""
        served = self._open[binding]
        back = Back(
            self._sockets,
            stream,
            target.address,
            target.port,
            limits=self._limits,
            watch=self._traffic.watch(binding),
            on_end=served.ended,
        )
        served.backs.add(back)
        self._traffic.meter(binding, served.dropped)

    def close(self, binding: Binding) -> None:
        """The mirror goes: send on what its server has said, and end its flows."""
        for back in list(self._open.pop(binding, _Served()).backs):
            back.drain()
            back.close()

    def close_all(self) -> None:
        """End every flow."""
        for binding in list(self._open):
            self.close(binding)
