"""The mirrors that stand on this computer: listening sockets for listeners in the machine.

Rules: does what the reconciler says and nothing else; what a flow is dialled to is asked anew
for each client. Closing a mirror leaves its flows alone. Counterpart in the machine:
`vmagent/stubs.py`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from desktop.daemon.traffic import Traffic
from desktop.mirror.model import Binding, Target
from link.acceptor import Acceptor, listen_tcp
from link.opening import Forwarder
from link.relay.relay import Flow, reset_socket
from link.wire import OpenRequest

__all__ = ["HostMirrors"]


class HostMirrors:
    """The open mirrors of origin machine."""

    def __init__(
        self,
        forwarder: Forwarder,
        traffic: Traffic,
        target_of: Callable[[Binding], Target | None],
    ) -> None:
        self._forwarder = forwarder
        self._traffic = traffic
        self._target_of = target_of
        self._open: dict[Binding, Acceptor] = {}
        self._inodes: frozenset[int] | None = frozenset()

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of the mirrors, so that they are not mirrored back."""
        if self._inodes is None:
            self._inodes = frozenset(acceptor.inode for acceptor in self._open.values())
        return self._inodes

    def open(self, binding: Binding) -> int:
        """Open a mirror: 0, or the errno of the failure. One that is open stays open."""
        if binding in self._open:
            return 0
        try:
            sock = listen_tcp(binding.address, binding.port)
        except OSError as error:
            return error.errno or errno.EIO
        self._open[binding] = Acceptor(sock, lambda client: self._client(binding, client))
        self._inodes = None
        return 0

    def close(self, binding: Binding) -> None:
        """Close a mirror, if it is open."""
        acceptor = self._open.pop(binding, None)
        if acceptor is not None:
            acceptor.close()
            self._inodes = None

    def close_all(self) -> None:
        """Close every mirror."""
        for binding in list(self._open):
            self.close(binding)

    def _client(self, binding: Binding, client: socket.socket) -> None:
        target = self._target_of(binding)
        if target is None:
            reset_socket(client)
            return

        def started(flow: Flow) -> None:
            self._traffic.started(binding, flow)

        def ended(flow: Flow) -> None:
            self._traffic.ended(binding, flow)

        request = OpenRequest(target.address, target.port, binding.protocol)
        self._forwarder.forward(client, request, started, ended)
