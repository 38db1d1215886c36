"""Sockets on Windows, where SO_REUSEADDR lets anybody take another's port: it is never set.

Source: learn.microsoft.com, "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE" (with the latter nobody
binds the same place, whatever they set), "IPPROTO_IPV6 socket options" (IPV6_V6ONLY), and for
SIO_UDP_CONNRESET the control codes of WSAIoctl in mswsock.h: without it, a client that has gone
makes the next receiving of the socket fail that all clients share.

Limits: has run under Wine only. Counterpart: `interface.py`; `desktop/daemon/windows_loop.py` is
the loop that serves UDP there.
"""

from __future__ import annotations

import ctypes
import logging
import socket
from collections.abc import Callable
from typing import Final

from desktop.sockets.interface import Door, HostSockets
from link.acceptor import listen_tcp

__all__ = ["WindowsSockets", "forgive_clients_that_went"]

SO_EXCLUSIVEADDRUSE: Final = -5
"""winsock2.h: ~SO_REUSEADDR."""
SIO_UDP_CONNRESET: Final = 0x9800000C
"""mswsock.h: _WSAIOW(IOC_VENDOR, 12)."""

log = logging.getLogger(__name__)


def forgive_clients_that_went(sock: socket.socket, call: Callable[..., int] | None = None) -> None:
    """Let no datagram fail because the one before found nobody. `call` is WSAIoctl."""
    call = call or ctypes.CDLL("ws2_32").WSAIoctl
    off = ctypes.c_int32(0)
    returned = ctypes.c_uint32()
    handle = ctypes.c_void_p(sock.fileno())
    code, size = ctypes.c_uint32(SIO_UDP_CONNRESET), ctypes.c_uint32(ctypes.sizeof(off))
    nothing = ctypes.c_uint32(0)
    answer = ctypes.byref(returned)
    if call(handle, code, ctypes.byref(off), size, None, nothing, answer, None, None):
        log.info("clients of UDP port %s that go may be felt by others", sock.getsockname()[1])


class WindowsSockets(HostSockets):
    """See the module. `exclusive` is the number of the option."""

    def __init__(
        self,
        exclusive: int = SO_EXCLUSIVEADDRUSE,
        forgive: Callable[[socket.socket], None] = forgive_clients_that_went,
    ) -> None:
        self.claim = exclusive
        self._forgive = forgive

    def listen(self, address: str, port: int) -> Door:
        """See `HostSockets.listen`."""
        return Door(listen_tcp(address, port, claim=self.claim))

    def bind_datagrams(self, address: str, port: int) -> Door:
        """See `HostSockets.bind_datagrams`."""
        door = super().bind_datagrams(address, port)
        self._forgive(door.sock)
        return door

    def unshare(self, sock: socket.socket) -> None:
        """Does nothing: there is no libuv here, and nothing is shared."""
