"""Stubs: where containers reach the desktop's ports on the machine's loopback.

Rules: only `127.0.0.1` and `::1`, whatever is asked, and by `lo` only (`by_loopback`); a stub for a
port that something in the machine holds fails with EADDRINUSE and is reported, never fought for.
Closing a stub leaves its TCP flows alone; UDP flows end with it, since replies need its port.
Counterpart: the desktop wishes stubs (`desktop.mirror`), and decides on each flow anew. `redirect`
does the same without sockets.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Final

from link.acceptor import Acceptor
from link.datagrams.front import Front
from link.messages import StubKey, StubResult
from vmagent.desktop_ports.by_loopback import listen_by_loopback

__all__ = ["Stubs", "failed"]

_ADDRESSES: Final = ("127.0.0.1", "::1")


class Stubs:
    """The open stubs.

    `on_client` owns each accepted connection; `make_front` opens a stub for UDP, or raises
    OSError.
    """

    def __init__(
        self,
        on_client: Callable[[StubKey, socket.socket], None],
        make_front: Callable[[StubKey], Front],
    ) -> None:
        self._on_client = on_client
        self._make_front = make_front
        self._open: dict[StubKey, Acceptor | Front] = {}

    @property
    def inodes(self) -> frozenset[int]:
        """Socket inodes of the stubs."""
        return frozenset(inode for stub in self._open.values() for inode in stub.inodes)

    def open(self, keys: Iterable[StubKey]) -> tuple[StubResult, ...]:
        """Open stubs; one that is open already is a success."""
        return tuple(self._open_one(key) for key in keys)

    def close(self, keys: Iterable[StubKey]) -> tuple[StubResult, ...]:
        """Close stubs; one that is not open is closed already."""
        return tuple(self._close_one(key) for key in keys)

    def close_all(self) -> None:
        """Close every stub."""
        self.close(list(self._open))

    def end(self) -> None:
        """Close everything; nothing else is held."""
        self.close_all()

    def _open_one(self, key: StubKey) -> StubResult:
        if key in self._open:
            return StubResult(key, is_open=True)
        if key.address not in _ADDRESSES:
            return failed(key, errno.EACCES, "not an address for stubs")
        try:
            if key.protocol == "udp":
                self._open[key] = self._make_front(key)
            else:
                sock = listen_by_loopback(key.address, key.port)
                self._open[key] = Acceptor(sock, lambda client: self._on_client(key, client))
        except OSError as error:
            return failed(key, error.errno or errno.EIO)
        return StubResult(key, is_open=True)

    def _close_one(self, key: StubKey) -> StubResult:
        stub = self._open.pop(key, None)
        if stub is not None:
            stub.close()
        return StubResult(key, is_open=False)


def failed(key: StubKey, number: int, detail: str = "") -> StubResult:
    """The answer that it cannot be opened; `detail` is the system's own words if not given."""
    return StubResult(key, is_open=False, errno=number, detail=detail or os.strerror(number))
