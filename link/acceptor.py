"""A listening socket in the event loop: takes connections in batches, and survives shortage.

Rules: a shortage of descriptors or memory pauses accepting, with back-off, and never ends the
listener; clients wait in the kernel's backlog meanwhile. A shortage of descriptors that lasts is
no reason to let them wait for ever: each is then taken with the one descriptor kept in reserve
and reset, until there are descriptors again. Used by mirrors on the desktop, stubs in the
machine, and the agent's own port.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from link.dial import is_near, tune, tune_local, tune_near
from link.relay.relay import reset_socket
from link.shortages import shortages

__all__ = ["BACKLOG", "Acceptor", "listen_tcp"]

BACKLOG: Final = 4096
"""Connections the kernel may hold for us (listen(2); it caps this at net.core.somaxconn)."""
ACCEPTS_PER_TURN: Final = 64
LONGEST_CALM: Final = 64
"""Connections that come alone before a second is looked for at once (see `_Pace`)."""
SHORTAGE_SECONDS: Final = (0.1, 1.0)
"""First and longest pause after a shortage."""
_NO_DESCRIPTORS: Final = {errno.EMFILE, errno.ENFILE}
_SHORTAGES: Final = {*_NO_DESCRIPTORS, errno.ENOBUFS, errno.ENOMEM}
_CLIENT_GONE: Final = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR}
"""accept(2): the connection failed, not the listener."""
_WILDCARDS: Final = ("0.0.0.0", "::")
_LOOPBACK: Final = ("127.0.0.1", "::1")
"""Where clients of this computer come from, when they connect to its `localhost`."""

log = logging.getLogger(__name__)


def listen_tcp(
    address: str,
    port: int,
    *,
    is_local: bool = False,
    device: str = "",
    claim: int = socket.SO_REUSEADDR,
) -> socket.socket:
    """A non-blocking listening socket; an IPv6 one is always v6-only. Raises OSError.

    `is_local` says that all who will connect are near, as they are on loopback anyway. `device` is
    the only network device by which they may come, on Linux (socket(7), SO_BINDTODEVICE). `claim`
    is the option by which the port is had, 0 for none: SO_REUSEADDR lets a mirror come back while
    connections of its predecessor are in TIME_WAIT; on Linux it does not let two listeners share a
    port (socket(7)).
    """
    parsed = ip_address(address)
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if claim:
            sock.setsockopt(socket.SOL_SOCKET, claim, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
        if is_local or parsed.is_loopback:
            tune_local(sock)
        else:
            tune(sock)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class _Reserve:
    """One descriptor that is given up when there are no others, to be able to say no."""

    def __init__(self) -> None:
        self._descriptor = -1

    def keep(self) -> None:
        """Have it, if that is possible now."""
        if self._descriptor < 0:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def refuse(self, sock: socket.socket) -> int:
        """Reset the clients that wait, at most ACCEPTS_PER_TURN of them; how many those were."""
        if self._descriptor < 0:
            return 0
        os.close(self._descriptor)
        self._descriptor = -1
        count = 0
        with contextlib.suppress(OSError):
            while count < ACCEPTS_PER_TURN:
                reset_socket(sock.accept()[0])
                count += 1
        self.keep()
        return count


_reserve = _Reserve()
"""The process's own; every acceptor sees to it that it is there."""


class _Pace:
    """How many connections to take at once.

    Looking for one that is not there is dear: the kernel makes a socket before it finds that out
    (net/socket.c, do_accept), a tenth of what a short connection costs here. So after a connection
    one is content, as the listener tells again while there are more; and of those that come alone
    only every so many is followed by another look, which finds the next flood.

    Attributes:
        most: connections to take now.
    """

    __slots__ = ("_alone", "_calm", "most")

    def __init__(self) -> None:
        self.most = 1
        self._alone = 0
        self._calm = 1

    def all_came(self) -> None:
        """There were as many as that, perhaps more."""
        if self.most > 1:
            self.most = min(self.most * 2, ACCEPTS_PER_TURN)
            self._calm = 1
            return
        self._alone += 1
        if self._alone >= self._calm:
            self.most = 2

    def fewer_came(self) -> None:
        """There were no more."""
        if self.most <= 2:
            self._calm = min(self._calm * 2, LONGEST_CALM)
        self.most = 1
        self._alone = 0


class Acceptor:
    """Accepts on a listening socket until closed. `on_connection` owns what it is given."""

    def __init__(self, sock: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._descriptor = sock.fileno()
        self._on_connection = on_connection
        self._pause = SHORTAGE_SECONDS[0]
        self._is_short = False
        self._pace = _Pace()
        # `accept` itself asks two enumerations for what never changes, for longer than the system
        # call takes; this is what it calls (socket.py, since Python 3.4).
        self._take = sock._accept  # type: ignore[attr-defined]  # noqa: SLF001
        self._kind = int(sock.family), int(sock.type), sock.proto
        self._timer: asyncio.TimerHandle | None = None
        self._has_far_clients = self.address[0] in _WILDCARDS and not is_near(sock)
        # Windows has no inodes, and a socket there is no file.
        is_posix = os.name == "posix"
        self.inodes = frozenset({os.fstat(self._descriptor).st_ino} if is_posix else ())
        _reserve.keep()
        self._loop.add_reader(self._descriptor, self._accept)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the path and 0 if it is a Unix socket."""
        name = self._sock.getsockname()
        return (name, 0) if isinstance(name, str) else (name[0], name[1])

    def close(self) -> None:
        """Stop and close; connections already handed on live on. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._descriptor)
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(self._pace.most):
            try:
                descriptor, peer = self._take()
            except BlockingIOError:
                self._pace.fewer_came()
                return
            except OSError as error:
                if error.errno in _CLIENT_GONE:
                    continue
                self._wait(error)
                return
            self._pause = SHORTAGE_SECONDS[0]
            self._is_short = False
            connection = socket.socket(*self._kind, descriptor)
            connection.setblocking(False)
            if self._has_far_clients and peer[0] in _LOOPBACK:
                tune_near(connection)
            self._on_connection(connection)
            if self._sock.fileno() < 0:
                return
        self._pace.all_came()

    def _wait(self, error: OSError) -> None:
        shortages.pauses += 1
        level = logging.WARNING if error.errno in _SHORTAGES else logging.ERROR
        log.log(level, "accepting on %s pauses for %.1f s: %s", self.address, self._pause, error)
        if error.errno in _NO_DESCRIPTORS:
            if self._is_short and (count := _reserve.refuse(self._sock)):
                shortages.files += count
                log.warning("%d connections on %s were refused", count, self.address)
            self._is_short = True
        self._loop.remove_reader(self._descriptor)
        self._timer = self._loop.call_later(self._pause, self._resume)
        self._pause = min(self._pause * 2, SHORTAGE_SECONDS[1])

    def _resume(self) -> None:
        self._loop.add_reader(self._descriptor, self._accept)
