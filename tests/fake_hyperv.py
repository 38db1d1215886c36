"""The module `socket` of a Windows computer with Hyper-V sockets, as far as they are used.

What is behind is a Unix socket: like Hyper-V's it knows no reset, and its connects are refused
where nobody listens. Rules: it passes the contract of transports, with `HypervTransport` on it.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final

__all__ = ["FakeHyperv"]

NO_SUCH_SERVICE: Final = errno.ECONNREFUSED
"""WSAECONNREFUSED there: what a machine says that has no such service."""


class FakeHyperv:
    """One computer's. Services are made by `listen`; `folder` has room for what is behind."""

    AF_HYPERV = 34
    HV_PROTOCOL_RAW = 1
    SOCK_STREAM = int(socket.SOCK_STREAM)

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self._services: dict[tuple[str, str], str] = {}

    def listen(self, machine: str, service: str) -> socket.socket:
        """The listening socket of a service, at the machine's end."""
        path = f"{self._folder}/{len(self._services)}"
        self._services[machine, service] = path
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(1024)
        server.setblocking(False)
        return server

    def socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """See the module `socket`."""
        if (family, kind, protocol) != (self.AF_HYPERV, self.SOCK_STREAM, self.HV_PROTOCOL_RAW):
            raise OSError(errno.EAFNOSUPPORT, "no such sockets")
        return _Socket(self._services)


class _Socket(socket.socket):
    """Connects to (machine, service)."""

    def __init__(self, services: dict[tuple[str, str], str]) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._services = services

    def connect(self, address: Any) -> None:
        path = self._services.get(address)
        if path is None:
            raise ConnectionRefusedError(NO_SUCH_SERVICE, "no such service")
        super().connect(path)
