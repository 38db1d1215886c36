"""A door on a vsock port (vsock(7)), which virtual machine monitors carry to the host.

Rules: only the host may come in: a container that shares the machine's network can reach the port
too, from the machine's own context id. Counterparts: `desktop/transports/vsock.py`, `hyperv.py`.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

from link.acceptor import BACKLOG, Acceptor
from vmagent.doors.entrance import Admit, Entrance, Finish, watch_input

__all__ = ["HOST", "VsockEntrance"]

HOST: Final = 2
"""VMADDR_CID_HOST, vsock(7)"""


class VsockEntrance(Entrance):
    """See the module. `port` 0 is one of the kernel's choice, `peer` who may come in.

    Raises OSError.
    """

    carries_reset = False

    def __init__(self, port: int = 0, peer: int = HOST) -> None:
        if not hasattr(socket, "AF_VSOCK"):
            raise OSError(errno.EAFNOSUPPORT, "this Python knows no vsock")
        self._peer = peer
        self._sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self._acceptor: Acceptor | None = None
        try:
            self._sock.bind((socket.VMADDR_CID_ANY, port or socket.VMADDR_PORT_ANY))
            self._sock.listen(BACKLOG)
            self._sock.setblocking(False)
        except OSError:
            self.close()
            raise

    @property
    def answer(self) -> dict[str, Any]:
        """See `Entrance`."""
        return {"kind": "vsock", "port": self._sock.getsockname()[1]}

    def begin(self, admit: Admit, finish: Finish) -> None:
        """See `Entrance`."""

        def accepted(stream: socket.socket) -> None:
            if _peer_of(stream) == self._peer:
                admit(stream)
            else:
                stream.close()

        self._acceptor = Acceptor(self._sock, accepted)
        watch_input(finish)

    def close(self) -> None:
        """See `Entrance`."""
        if self._acceptor is not None:
            self._acceptor.close()
        self._sock.close()


def _peer_of(stream: socket.socket) -> int:
    try:
        return int(stream.getpeername()[0])
    except OSError:
        return -1
