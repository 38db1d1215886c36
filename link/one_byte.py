"""The smallest conversation: a byte is answered with its complement, by TCP and by UDP.

    Answerer ◀─ a byte ─ ask_byte          through whatever is between the two ports
             ── 255 minus it ─▶

Rules: on 127.0.0.1 only. The answerer is for a moment, and costs whoever finds it next to nothing:
MOST_CLIENTS connections at once, a byte for a byte. Used by both ends for `samehost doctor
self-test`: each asks the other's answerer through a temporary mirror.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

from link.acceptor import Acceptor, listen_tcp
from link.dial import dial
from link.relay.relay import reset_socket

__all__ = ["ASK_SECONDS", "HERE", "Answerer", "ask_byte", "free_port"]

HERE: Final = "127.0.0.1"

ASK_SECONDS: Final = 3.0
"""How long an answer may take."""

UDP_RETRY_SECONDS: Final = 0.5
"""A datagram may be lost: it is sent again after this long."""

MOST_CLIENTS: Final = 8
_ALL_BITS: Final = 0xFF
_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Answerer:
    """Listens on a port of the kernel's choice by each protocol. `close` before dropping it.

    Construction raises OSError.

    Attributes:
        ports: by protocol.
        inodes: of the sockets that listen.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients: set[socket.socket] = set()
        self._datagrams = _bound("udp")
        try:
            self._acceptor = Acceptor(listen_tcp(HERE, 0), self._enter)
        except OSError:
            self._datagrams.close()
            raise
        self._loop.add_reader(self._datagrams.fileno(), self._answer_datagram)
        self.ports = {"tcp": self._acceptor.address[1], "udp": self._datagrams.getsockname()[1]}
        self.inodes = self._acceptor.inodes
        if self.inodes:  # which sockets of Windows have not
            self.inodes |= {os.fstat(self._datagrams.fileno()).st_ino}

    def close(self) -> None:
        """Free the ports, and end what is under way. May be called twice."""
        self._acceptor.close()
        if self._datagrams.fileno() >= 0:
            self._loop.remove_reader(self._datagrams.fileno())
            self._datagrams.close()
        for client in list(self._clients):
            self._leave(client)

    def _enter(self, client: socket.socket) -> None:
        if len(self._clients) >= MOST_CLIENTS:
            reset_socket(client)
            return
        self._clients.add(client)
        self._loop.add_reader(client.fileno(), self._answer, client)

    def _answer(self, client: socket.socket) -> None:
        try:
            data = client.recv(1)
            if data:
                client.send(_complement(data))
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # it has gone, as with end-of-file
        self._leave(client)

    def _leave(self, client: socket.socket) -> None:
        self._clients.discard(client)
        self._loop.remove_reader(client.fileno())
        client.close()

    def _answer_datagram(self) -> None:
        with contextlib.suppress(OSError):  # nothing came, or the asker has gone
            data, asker = self._datagrams.recvfrom(1)
            if data:
                self._datagrams.sendto(_complement(data), asker)


async def ask_byte(protocol: str, port: int) -> None:
    """Ask on a port of ours. Raises OSError with words that say what came instead of the answer."""
    asked = os.urandom(1)
    loop = asyncio.get_running_loop()
    sock = dial(HERE, port) if protocol == "tcp" else _connected_to(port)
    with contextlib.closing(sock):
        deadline = loop.time() + ASK_SECONDS
        if protocol == "tcp":
            await _ready(loop.add_writer, loop.remove_writer, sock, deadline)
        answer = await _exchange(sock, asked, deadline, again=protocol == "udp")
    if not answer:
        raise ConnectionError("the connection was ended without an answer")
    if answer != _complement(asked):
        raise ConnectionError("somebody else answered")


async def _exchange(sock: socket.socket, asked: bytes, deadline: float, *, again: bool) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        sock.send(asked)
        try:
            first = min(deadline, loop.time() + UDP_RETRY_SECONDS) if again else deadline
            await _ready(loop.add_reader, loop.remove_reader, sock, first)
            return sock.recv(1)
        except TimeoutError:
            if loop.time() >= deadline:
                raise


async def _ready(
    add: Callable[..., object],
    remove: Callable[[int], object],
    sock: socket.socket,
    deadline: float,
) -> None:
    """Wait until a socket can be used. Raises TimeoutError, the built-in one, which says so."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def be_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    def give_up() -> None:
        if not ready.done():
            ready.set_exception(TimeoutError(f"no answer within {ASK_SECONDS:.0f} s"))

    timer = loop.call_at(deadline, give_up)
    add(sock.fileno(), be_ready)
    try:
        await ready
    finally:
        remove(sock.fileno())
        timer.cancel()


def free_port(protocol: str) -> int:
    """A port that nobody has now. Raises OSError."""
    with contextlib.closing(_bound(protocol)) as sock:
        return int(sock.getsockname()[1])


def _bound(protocol: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, _KINDS[protocol])
    try:
        sock.setblocking(False)
        sock.bind((HERE, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _connected_to(port: int) -> socket.socket:
    sock = _bound("udp")
    try:
        sock.connect((HERE, port))
    except OSError:
        sock.close()
        raise
    return sock


def _complement(data: bytes) -> bytes:
    return bytes(byte ^ _ALL_BITS for byte in data)
