"""Refusals: the bytes that the RFCs say, and what a real client's kernel makes of them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.datagrams.clients import Client
from link.datagrams.unreachable import Refuser, refusal
from tests.arrival import await_news

IP_RECVERR = 11
OFFENDER = slice(16, 32)
"""ip(7), linux/errqueue.h: who sent an error, behind struct sock_extended_err."""
PORTS = st.integers(0, 65535)


def sum_of_words(data: bytes) -> int:
    """The ones' complement sum of RFC 1071, word by word as its section 4.1 has it."""
    total = 0
    for high, low in zip(data[::2], data[1::2], strict=True):
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_an_ipv4_refusal_is_laid_out_as_rfc_792_says() -> None:
    message = refusal(("127.0.0.1", 0x1234), ("127.0.0.2", 0x5678))
    checksum = message[2:4]
    assert message == (
        bytes.fromhex("03 03")
        + checksum
        + bytes.fromhex("00000000")
        # the datagram's IP header (RFC 791): 28 bytes, 64 hops, UDP; from the client to us
        + bytes.fromhex("45 00 001c 0000 0000 40 11 0000 7f000001 7f000002")
        # and its first 64 bits, which are the UDP header (RFC 768)
        + bytes.fromhex("1234 5678 0008 0000")
    )


def test_an_ipv6_refusal_is_laid_out_as_rfc_4443_says() -> None:
    message = refusal(("fe80::1", 0x1234), ("::1", 0x5678))
    assert message == (
        bytes.fromhex("01 04 0000 00000000")
        # the datagram's IP header (RFC 8200): payload of 8 bytes, UDP, 64 hops
        + bytes.fromhex("60000000 0008 11 40")
        + socket.inet_pton(socket.AF_INET6, "fe80::1")
        + socket.inet_pton(socket.AF_INET6, "::1")
        + bytes.fromhex("1234 5678 0008 0000")
    )


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), PORTS, PORTS)
def test_the_checksum_of_an_ipv4_refusal_is_right(
    client: Any, local: Any, client_port: int, local_port: int
) -> None:
    message = refusal((str(client), client_port), (str(local), local_port))
    assert sum_of_words(message) == 0xFFFF


@contextlib.contextmanager
def waiting_client(address: str) -> Iterator[tuple[socket.socket, Client, int]]:
    """A connected client, and the port it speaks to, where something listens in silence."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((address, 0))
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(server.getsockname())
            sock.settimeout(10)
            yield sock, Client(sock.getsockname(), address, []), server.getsockname()[1]


def need_raw_sockets() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except PermissionError:
        pytest.skip("raw sockets are not allowed here (CAP_NET_RAW)")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_the_next_call_of_a_refused_client_says_connection_refused(address: str) -> None:
    need_raw_sockets()
    with waiting_client(address) as (sock, client, port):
        refuser = Refuser()
        refuser.refuse(client, port)
        with pytest.raises(ConnectionRefusedError):
            sock.recv(1)
        sock.send(b"the error was told once")
        refuser.refuse(client, port)
        await_news(sock)
        with pytest.raises(ConnectionRefusedError):
            sock.send(b"")
        refuser.close()
        refuser.close()


def test_a_refusal_comes_from_the_address_that_was_spoken_to() -> None:
    need_raw_sockets()
    with waiting_client("127.0.0.9") as (sock, client, port):
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        refuser = Refuser()
        refuser.refuse(client, port)
        refuser.close()
        _, controls, _, _ = sock.recvmsg(100, 100, socket.MSG_ERRQUEUE)
        ((level, kind, error),) = controls
        assert (level, kind) == (socket.IPPROTO_IP, IP_RECVERR)
        assert socket.inet_ntoa(error[OFFENDER][4:8]) == "127.0.0.9"


def test_a_refusal_reaches_nobody_but_its_client() -> None:
    need_raw_sockets()
    with waiting_client("127.0.0.1") as (sock, client, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.connect(("127.0.0.1", port))
            other.setblocking(False)
            refuser = Refuser()
            refuser.refuse(client, port)
            with pytest.raises(ConnectionRefusedError):
                sock.recv(1)
            with pytest.raises(BlockingIOError):
                other.recv(1)
            refuser.close()


def test_a_refusal_that_cannot_be_sent_is_no_error() -> None:
    need_raw_sockets()
    refuser = Refuser()
    refuser.refuse(Client(("127.0.0.1", 9), "192.0.2.1", []), 9)
    refuser.close()


def test_without_the_right_to_raw_sockets_nothing_is_told_and_asked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def forbid(family: int, *_: int) -> socket.socket:
        asked.append(family)
        raise PermissionError(1, "Operation not permitted")

    with waiting_client("127.0.0.1") as (sock, client, port):
        sock.setblocking(False)
        monkeypatch.setattr(socket, "socket", forbid)
        refuser = Refuser()
        for _ in range(3):
            refuser.refuse(client, port)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        refuser.close()
    assert asked == [socket.AF_INET]
