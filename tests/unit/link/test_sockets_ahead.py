"""Sockets that are made ahead lead to loopback only, as others do, and are like them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from link import dial as dialling
from link.dial import ForbiddenAddressError, SocketsAhead, dial


@pytest.fixture
def ahead() -> Iterator[SocketsAhead]:
    with contextlib.closing(SocketsAhead()) as one:
        yield one


def options(sock: socket.socket) -> list[int]:
    return [sock.getsockopt(level, number) for level, number, _ in dialling._DIALLED_ON_LOOPBACK]


def test_a_socket_made_ahead_is_the_next_that_is_dialled_and_like_any_other(
    ahead: SocketsAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        with monkeypatch.context() as patch:
            patch.setattr(dialling, "_make", lambda _family: pytest.fail("another was made"))
            ahead.prepare(place[0])
            first = ahead.dial(*place)
        with first, ahead.dial(*place) as second, dial(*place) as other:
            assert len({first.fileno(), second.fileno(), other.fileno()}) == 3
            assert options(first) == options(second) == options(other)
            assert not first.getblocking()
            with server.accept()[0] as accepted:
                assert accepted.getpeername() == first.getsockname()


def test_each_family_has_its_own(ahead: SocketsAhead) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        with ahead.dial(*server.getsockname()[:2]), server.accept()[0]:
            pass


@pytest.mark.parametrize("address", ["192.0.2.1", "0.0.0.0", "::", "169.254.169.254"])
def test_one_made_ahead_leads_to_loopback_only(ahead: SocketsAhead, address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        ahead.dial(address, 80)
    with pytest.raises(ForbiddenAddressError):
        ahead.prepare(address)


def test_a_refusal_frees_the_socket_and_another_is_made(ahead: SocketsAhead) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
    for _ in range(2):
        ahead.prepare(place[0])
        with contextlib.suppress(ConnectionRefusedError):  # now, or when it is used
            ahead.dial(*place).close()


def test_without_files_none_is_made_ahead(
    ahead: SocketsAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(_family: object) -> socket.socket:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(dialling, "_make", short)
    ahead.close()
    ahead.prepare("127.0.0.1")
    with pytest.raises(OSError, match="open files"):
        ahead.dial("127.0.0.1", 80)
