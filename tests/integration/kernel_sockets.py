"""Real sockets for tests of detection: on loopback, in the network namespace of the caller."""

from __future__ import annotations

import socket

__all__ = ["bind_udp", "listen"]


def listen(address: str = "127.0.0.1", protocol: int = 0) -> socket.socket:
    """A TCP listener on a port of the kernel's choice."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.bind((address, 0))
    sock.listen()
    return sock


def bind_udp(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A UDP socket without a peer; port 0 leaves the choice to the kernel."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock
