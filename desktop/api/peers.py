"""Who is at the other end of a local connection, as the kernel says: one function per system.

    Linux    SO_PEERCRED: struct ucred {pid, uid, gid} (unix(7))
    macOS    LOCAL_PEERCRED: struct xucred {version, uid, …}, and LOCAL_PEERPID (XNU bsd/sys/un.h)
    Windows  a named pipe lets in its owner only, by its access list; nobody is asked

Limits: that of macOS has never run on a Mac. Counterparts: `server.py`, `stream.py`, the window;
`pipe_owner.py` says whose a pipe is.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

__all__ = ["HasOptions", "Peer", "may_enter", "peer_of", "peer_on_linux", "peer_on_macos"]

SOL_SOCKET: Final = 1
SO_PEERCRED: Final = 17
"""asm-generic/socket.h."""
SOL_LOCAL: Final = 0
LOCAL_PEERCRED: Final = 0x001
LOCAL_PEERPID: Final = 0x002
"""XNU bsd/sys/un.h."""
XUCRED_VERSION: Final = 0
XUCRED_BYTES: Final = 76
"""XNU bsd/sys/ucred.h: struct xucred with NGROUPS 16 groups."""

_UCRED: Final = struct.Struct("=iII")
_XUCRED: Final = struct.Struct("=II")
_PID: Final = struct.Struct("=i")


class Peer(NamedTuple):
    """The process at the other end of a connection, when it connected."""

    pid: int
    uid: int


class HasOptions(Protocol):
    """A socket, or what an event loop shows of one."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """See `socket.socket.getsockopt`."""


def peer_of(sock: HasOptions, platform: str = sys.platform) -> Peer:
    """Who is at the other end. Raises OSError."""
    return _PEERS.get(platform, _nobody_knows)(sock)


def may_enter(descriptor: int, name: str = os.name) -> bool:
    """Whether who connected is this user, or root, by the number of the socket. Raises OSError.

    Of a pipe of Windows it is the handle: whoever may not connect has not.
    """
    if name == "nt":
        return True
    with socket.socket(fileno=os.dup(descriptor)) as same:
        return peer_of(same).uid in (os.geteuid(), 0)


def peer_on_linux(sock: HasOptions) -> Peer:
    """See `peer_of`."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def peer_on_macos(sock: HasOptions) -> Peer:
    """See `peer_of`. A peer that has gone is EINVAL there."""
    data = sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, XUCRED_BYTES)
    if len(data) < _XUCRED.size:
        raise OSError(f"the kernel tells {len(data)} bytes of who connected")
    version, uid = _XUCRED.unpack_from(data)
    if version != XUCRED_VERSION:
        raise OSError(f"the kernel tells of who connected in version {version}")
    (pid,) = _PID.unpack(sock.getsockopt(SOL_LOCAL, LOCAL_PEERPID, _PID.size))
    return Peer(pid, uid)


def _nobody_knows(_sock: HasOptions) -> Peer:
    raise OSError("this system does not tell who connected")


_PEERS: Final[dict[str, Callable[[HasOptions], Peer]]] = {
    "linux": peer_on_linux,
    "darwin": peer_on_macos,
}
