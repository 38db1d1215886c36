"""What the tests of UDP share: clients, servers of this computer, and programs to their end.

Counterparts: `servers.py` has the programs in containers, `stage.py` the Samehost.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from tests.integration.samehost import IMAGE, PATIENCE, Samehost

__all__ = [
    "answer",
    "answers_from",
    "ask",
    "client",
    "family_of",
    "in_container",
    "is_answered",
    "refused",
    "server",
    "teller",
]

TRY_SECONDS = 0.5
"""How long a client waits for an answer before it asks anew."""


def family_of(address: str) -> socket.AddressFamily:
    """The family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextlib.contextmanager
def client(address: str, port: int) -> Iterator[socket.socket]:
    """A client of this computer. Its socket hears that server only."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((address, port))
        yield sock


def ask(sock: socket.socket, words: bytes) -> bytes:
    """One question, one answer. Raises OSError."""
    sock.send(words)
    return sock.recv(1 << 16)


def answer(sock: socket.socket, words: bytes) -> bytes:
    """Ask until there is an answer, as clients of UDP do."""
    deadline = time.monotonic() + PATIENCE
    sock.settimeout(TRY_SECONDS)
    try:
        while True:
            try:
                return ask(sock, words)
            except (ConnectionRefusedError, TimeoutError):
                assert time.monotonic() < deadline, f"no answer in {PATIENCE} s"
                time.sleep(0.02)
    finally:
        sock.settimeout(PATIENCE)


def is_answered(sock: socket.socket, words: bytes) -> bool:
    """Ask once. False if nobody answers, or the client is told that nobody is there."""
    sock.settimeout(0.2)
    try:
        return bool(ask(sock, words))
    except (ConnectionRefusedError, TimeoutError):
        return False
    finally:
        sock.settimeout(PATIENCE)


def answers_from(address: str, port: int, words: bytes = b"hello") -> bytes:
    """What a new client is answered; b"" if it is not."""
    with client(address, port) as sock:
        sock.settimeout(TRY_SECONDS)
        try:
            return ask(sock, words)
        except (ConnectionRefusedError, TimeoutError):
            return b""


def refused(address: str, port: int) -> bool:
    """True if a new client is told that nobody is there."""
    with client(address, port) as sock:
        sock.settimeout(TRY_SECONDS)
        try:
            ask(sock, b"hello")
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return False


@contextlib.contextmanager
def server(address: str, port: int, *, dual: bool = False) -> Iterator[socket.socket]:
    """A UDP socket of this computer, bound; it waits for TRY_SECONDS."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        sock.bind((address, port))
        sock.settimeout(TRY_SECONDS)
        yield sock


@contextlib.contextmanager
def teller(address: str, port: int, *, dual: bool = False) -> Iterator[None]:
    """A server of this computer: gives each datagram back after the port that it came from."""
    with server(address, port, dual=dual) as sock:
        with _until_end(lambda: _tell(sock)):
            yield


def _tell(sock: socket.socket) -> None:
    data, peer = sock.recvfrom(1 << 16)
    sock.sendto(b"%d %b" % (peer[1], data), peer)


@contextlib.contextmanager
def _until_end(step: Callable[[], None]) -> Iterator[None]:
    """Do `step` again and again in a thread; it may time out."""
    end = threading.Event()

    def run() -> None:
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                step()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def in_container(samehost: Samehost, code: str, *arguments: str) -> list[str]:
    """Run Python code in a host-networked container to its end; the lines it printed."""
    printed = samehost.docker(
        *("run", "--rm", "--network=host", "-v", "/:/desktop:ro", IMAGE),
        *("busybox", "chroot", "/desktop", "/usr/bin/python3", "-u", "-c", code, *arguments),
    )
    return printed.splitlines()
