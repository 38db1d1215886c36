"""How this side's loopback is dialled: by which sockets, with which options, and to where."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from link import dial as dialling
from link.dial import (
    CONNECTING,
    ForbiddenAddressError,
    SocketsAhead,
    dial,
    error_words,
    grow_send_buffer,
)

PROJECT: Final = Path(__file__).parents[3]
SIZE: Final = 100_000

ELSEWHERE: Final = f"""
import socket, sys
sys.platform = "darwin"
from link.dial import grow_send_buffer
class Recorder:
    def setsockopt(self, *option):
        print(option == (socket.SOL_SOCKET, socket.SO_SNDBUF, {SIZE}))
grow_send_buffer(Recorder(), {SIZE})
"""


# Options, and words for errors


def test_a_send_buffer_grows() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE // 10)
        grow_send_buffer(near, SIZE)
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= SIZE


def test_elsewhere_than_on_linux_no_number_of_linux_is_used() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "True\n", told.stderr


def test_the_words_of_an_error_are_those_of_the_system_that_counts_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "errorTab", {10061: "Connection refused."}, raising=False)
    assert error_words(10061) == "Connection refused."
    assert error_words(errno.EACCES) == os.strerror(errno.EACCES)


# Dialling


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_server_of_this_computer_is_dialled_without_waiting(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(30.0)
        with dial(address, server.getsockname()[1]) as client:
            accepted, _ = server.accept()
            with accepted:
                assert accepted.getpeername()[:2] == client.getsockname()[:2]


def test_a_connect_that_does_not_wait_has_begun_or_is_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setblocking(False)
        assert client.connect_ex(server.getsockname()) in {0, *CONNECTING}


# Sockets that are made ahead


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
