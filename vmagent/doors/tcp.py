"""A door on an address of the machine: listening TCP sockets.

Counterpart: `desktop/transports/tcp.py`.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from link.acceptor import Acceptor, listen_tcp
from vmagent.doors.entrance import Admit, Entrance, Finish, watch_input

__all__ = ["TcpEntrance"]

PORTS: Final = 16
"""Ports to listen on. A stream that has ended keeps its port on the desktop for a minute (tcp(7),
TIME_WAIT), and the desktop has 28 232 of them for each of ours (ip(7), ip_local_port_range);
finding a free one gets slow when half are taken."""


class TcpEntrance(Entrance):
    """See the module. `peer` is the only address that may come in, "" for any. Raises OSError."""

    def __init__(
        self, address: str, port: int = 0, peer: str = "", *, carries_reset: bool = True
    ) -> None:
        self.carries_reset = carries_reset
        self._peer = peer
        self._sockets: list[socket.socket] = []
        self._acceptors: list[Acceptor] = []
        try:
            for _ in range(1 if port else PORTS):
                self._sockets.append(listen_tcp(address, port, is_local=True))
        except OSError:
            self.close()
            raise

    @property
    def answer(self) -> dict[str, Any]:
        """See `Entrance`."""
        return {"kind": "tcp", "ports": [sock.getsockname()[1] for sock in self._sockets]}

    def begin(self, admit: Admit, finish: Finish) -> None:
        """See `Entrance`."""

        def accepted(stream: socket.socket) -> None:
            if not self._peer or _peer_address(stream) == self._peer:
                admit(stream)
            else:
                stream.close()

        self._acceptors = [Acceptor(sock, accepted) for sock in self._sockets]
        watch_input(finish)

    def close(self) -> None:
        """See `Entrance`."""
        for acceptor in self._acceptors:
            acceptor.close()
        for sock in self._sockets:
            sock.close()


def _peer_address(stream: socket.socket) -> str:
    try:
        return str(stream.getpeername()[0])
    except OSError:
        return "gone"
