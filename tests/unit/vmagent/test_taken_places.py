"""Who serves, and who is connected, where the desktop's port is to come."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from link.messages import StubKey
from link.sockdiag import SockDiag
from vmagent.desktop_ports.taken_places import clients_at, served_places


@contextlib.contextmanager
def serving(kind: str, address: str, *, v6only: bool = False) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    of_kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, of_kind) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.bind((address, 0))
        if kind == "tcp":
            sock.listen()
        yield sock


def served(sock: socket.socket, own: frozenset[int] = frozenset()) -> set[tuple[str, str]]:
    port = sock.getsockname()[1]
    with contextlib.closing(SockDiag()) as diag:
        places = served_places(diag.listeners(), own)
    return {(each.address, each.protocol) for each in places if each.port == port}


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("address", "v6only", "loopback"),
    [
        ("127.0.0.1", False, {"127.0.0.1"}),
        ("0.0.0.0", False, {"127.0.0.1"}),
        ("::1", False, {"::1"}),
        ("::", True, {"::1"}),
        ("::", False, {"::1", "127.0.0.1"}),
        ("127.0.0.2", False, {"127.0.0.2"}),
    ],
)
def test_a_server_is_wherever_it_would_be_reached(
    kind: str, address: str, v6only: bool, loopback: set[str]
) -> None:
    with serving(kind, address, v6only=v6only) as sock:
        assert served(sock) == {(each, kind) for each in loopback}
        own = frozenset({os.fstat(sock.fileno()).st_ino})
        assert not served(sock, own)


@pytest.mark.parametrize(("address", "other"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_client_is_at_the_place_to_which_it_is_connected_and_no_other(
    address: str, other: str
) -> None:
    port = 4567
    places = [StubKey(each, port, kind) for each in (address, other) for kind in ("tcp", "udp")]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    assert not clients_at(places)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        assert clients_at(places) == {StubKey(address, port, "udp")}
        assert not clients_at([StubKey(address, port + 1, "udp"), StubKey(address, port)])
