"""Wait, without a turn of any loop, for what was sent over loopback.

It is mostly there when the call that sends returns, but not always: where a processor has more to
do, the kernel puts off what it delivers (ksoftirqd).

Limits: Linux. Counterpart: `until.py`, in an event loop.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Final

from tests.until import PATIENCE

__all__ = ["await_datagrams", "await_news"]

SO_PEEK_OFF: Final = 42
"""asm-generic/socket.h; since 4.13 of UDP (udp(7) does not say so)."""
PAUSE_SECONDS: Final = 0.001

_room = bytearray(1 << 16)


def await_news(*socks: socket.socket) -> list[socket.socket]:
    """Those of the sockets that have something to read, or an error, once one of them has."""
    ready = select.select(socks, [], [], PATIENCE)[0]
    assert ready, f"nothing came within {PATIENCE:.0f} s"
    return ready


def await_datagrams(sock: socket.socket, count: int = 1) -> None:
    """Return once so many datagrams are there, which stay. None of them may be empty.

    What the kernel hands on merged counts as one.
    """
    deadline = time.monotonic() + PATIENCE
    sock.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, 0)
    try:
        for number in range(count):
            while not _peek(sock):
                assert time.monotonic() < deadline, f"{number} of {count} came"
                time.sleep(PAUSE_SECONDS)
    finally:
        sock.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, -1)


def _peek(sock: socket.socket) -> bool:
    """True if there is another behind those that were looked at."""
    try:
        return sock.recv_into(_room, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT) > 0
    except BlockingIOError:
        return False
