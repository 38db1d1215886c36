"""Connecting to a real listener on this side's loopback, without waiting.

Rules: only loopback addresses are dialled, on either side, whoever asks: the last of several
checks that nothing makes this end connect elsewhere. Counterpart: `relay`, which takes the
socket while it still connects.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

__all__ = [
    "CONNECTING",
    "ForbiddenAddressError",
    "SocketsAhead",
    "dial",
    "error_words",
    "grow_send_buffer",
    "is_connected",
    "is_near",
    "require_loopback",
    "tune",
    "tune_dialled",
    "tune_local",
    "tune_near",
]

KEEPALIVE_IDLE_SECONDS: Final = 60
KEEPALIVE_INTERVAL_SECONDS: Final = 15
KEEPALIVE_PROBES: Final = 4
"""A peer that vanished without a word is noticed after two minutes (tcp(7))."""

LOCAL_CONGESTION_CONTROL: Final = b"reno"
"""Always there and always allowed (tcp(7)). One that paces, as BBR does, wakes every process on
the way far more often and costs a third of the throughput where there is no network to spare."""


_SO_SNDBUFFORCE: Final = 32 if sys.platform == "linux" else socket.SO_SNDBUF
"""asm-generic/socket.h; an error for others than root. Elsewhere 32 is SO_BROADCAST."""

CONNECTING: Final = frozenset(
    {errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
)
"""What connect says of a socket that does not wait, and has begun: connect(2), and on Windows
"connect function (winsock2.h)"."""

REMEMBERED_ADDRESSES: Final = 256
"""Addresses that need not be looked at again: of those that are dialled there are few."""


class ForbiddenAddressError(OSError):
    """Something asked to dial an address that is not loopback."""


_Options = tuple[tuple[int, int, int], ...]


def _available(*options: tuple[int, str, int]) -> _Options:
    """Those that this platform has, by number."""
    return tuple(
        (level, getattr(socket, name), value)
        for level, name, value in options
        if hasattr(socket, name)
    )


_STREAM: Final = _available(
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_OOBINLINE", 1),
)
_WATCHFUL: Final = _available(
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", KEEPALIVE_PROBES),
)
_NEAR: Final = _available(
    (
        socket.IPPROTO_TCP,
        "TCP_CONGESTION",
        # Its four letters are those of an int. Bytes cost Python an error first: it tries an int.
        int.from_bytes(LOCAL_CONGESTION_CONTROL, sys.byteorder),
    )
)
_DIALLED: Final = _available((socket.SOL_SOCKET, "SO_REUSEADDR", 1)) if os.name == "posix" else ()
"""Not on Windows, where it would take another program's port."""
_KIND: Final = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)
"""Made non-blocking in one step where that can be."""
_DIALLED_ON_LOOPBACK: Final = _STREAM + _NEAR + _DIALLED
"""No peer on loopback vanishes without a word."""


def _set(sock: socket.socket, options: _Options) -> None:
    for level, option, value in options:
        sock.setsockopt(level, option, value)


def tune(sock: socket.socket) -> None:
    """Options of every socket of a flow; listeners hand them on to what they accept (Linux).

    No Nagle delay; keep-alive; urgent bytes stay in the stream instead of being lost.
    """
    _set(sock, _STREAM + _WATCHFUL)


def error_words(number: int) -> str:
    """What an error of a socket means. Of Windows' (Winsock's) `os.strerror` knows none."""
    return getattr(socket, "errorTab", {}).get(number) or os.strerror(number)


def tune_near(sock: socket.socket) -> None:
    """What a socket needs beyond `tune` whose peer is on this computer or in its machine."""
    _set(sock, _NEAR)


def is_connected(sock: socket.socket) -> bool:
    """False while it connects, or when that has failed, or its peer has left."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def is_near(sock: socket.socket) -> bool:
    """True if it has what `tune_near` gives, and hands it on if it is a listener (Linux)."""
    return all(sock.getsockopt(level, option) == value for level, option, value in _NEAR)


def tune_local(sock: socket.socket) -> None:
    """`tune` for a socket, or listener, whose peers are on this computer or in its machine."""
    _set(sock, _STREAM + _WATCHFUL + _NEAR)


def grow_send_buffer(sock: socket.socket, size: int) -> None:
    """Let so many bytes wait in a socket, or as many as the kernel allows this process.

    Root may go beyond net.core.wmem_max (socket(7), SO_SNDBUFFORCE).
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def tune_dialled(sock: socket.socket) -> None:
    """`tune_local` for a socket that will connect.

    Its port is the kernel's choice, and with SO_REUSEADDR it is in nobody's way: a server, or a
    mirror of ours, may listen on that port while the connection lives (socket(7)).
    """
    _set(sock, _STREAM + _WATCHFUL + _NEAR + _DIALLED)


@lru_cache(maxsize=REMEMBERED_ADDRESSES)
def require_loopback(address: str) -> socket.AddressFamily:
    """The family of a loopback address. Raises ForbiddenAddressError for any other."""
    parsed = ip_address(address)
    if not parsed.is_loopback:
        raise ForbiddenAddressError(errno.EACCES, f"{address} is not a loopback address")
    return socket.AF_INET if parsed.version == 4 else socket.AF_INET6


def dial(address: str, port: int) -> socket.socket:
    """Begin to connect to a loopback address; a refusal may also show on the socket later.

    Raises ForbiddenAddressError, or OSError where the connect fails at once.
    """
    return _connect(_make(require_loopback(address)), address, port)


class SocketsAhead:
    """Dials as `dial` does, by sockets that were made while nobody waited. Close it when done.

    It has one for each family, from the start. To make one, with all its options, takes a tenth of
    what a client on an idle computer waits for its server's first word.
    """

    def __init__(self) -> None:
        self._made: dict[socket.AddressFamily, socket.socket] = {}
        for address in ("127.0.0.1", "::1"):
            self.prepare(address)

    def dial(self, address: str, port: int) -> socket.socket:
        """See `dial`."""
        family = require_loopback(address)
        sock = self._made.pop(family, None)
        return _connect(_make(family) if sock is None else sock, address, port)

    def prepare(self, address: str) -> None:
        """Have one for the next client of a server there. Without files the next waits for it."""
        family = require_loopback(address)
        if family not in self._made:
            with contextlib.suppress(OSError):
                self._made[family] = _make(family)

    def close(self) -> None:
        """Free what was made. May be called twice."""
        while self._made:
            self._made.popitem()[1].close()


def _make(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, _KIND)
    try:
        if _KIND == socket.SOCK_STREAM:
            sock.setblocking(False)
        for level, option, value in _DIALLED_ON_LOOPBACK:
            sock.setsockopt(level, option, value)
    except OSError:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, address: str, port: int) -> socket.socket:
    result = sock.connect_ex((address, port))
    if result and result not in CONNECTING:
        sock.close()
        raise OSError(result, f"connect to {address} port {port}")
    return sock
