"""Options that only Windows has: they are set before the port is bound, and none that shares."""

from __future__ import annotations

import ctypes
import socket
from typing import Any

import pytest

from desktop.sockets.linux import LinuxSockets
from desktop.sockets.macos import MacSockets
from desktop.sockets.select import host_sockets
from desktop.sockets.windows import (
    SO_EXCLUSIVEADDRUSE,
    WindowsSockets,
    forgive_clients_that_went,
)


class Recorder(socket.socket):
    """A socket that writes down what is done to it, and lets Windows' own option pass."""

    said: list[tuple[Any, ...]] = []  # noqa: RUF012 - cleared by each test

    def setsockopt(self, level: int, option: int, value: Any) -> None:  # type: ignore[override]
        self.said.append((level, option, value))
        if option != SO_EXCLUSIVEADDRUSE:
            super().setsockopt(level, option, value)

    def bind(self, address: Any) -> None:
        self.said.append(("bind",))
        super().bind(address)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    monkeypatch.setattr("desktop.sockets.interface.socket.socket", Recorder)
    monkeypatch.setattr(Recorder, "said", [])
    return Recorder.said


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_is_claimed_before_it_is_bound_and_never_shared(
    said: list[tuple[Any, ...]], protocol: str, address: str
) -> None:
    sockets = WindowsSockets(forgive=lambda _: None)
    door = (sockets.listen if protocol == "tcp" else sockets.bind_datagrams)(address, 0)
    door.sock.close()
    before = said[: said.index(("bind",))]
    assert (socket.SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1) in before
    assert ((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1) in before) is (":" in address)
    options = {each[1] for each in said if each[0] == socket.SOL_SOCKET}
    assert not options & {socket.SO_REUSEADDR, getattr(socket, "SO_REUSEPORT", None)}


def test_a_udp_port_forgives_clients_that_went() -> None:
    forgiven: list[socket.socket] = []
    door = WindowsSockets(socket.SO_OOBINLINE, forgiven.append).bind_datagrams("127.0.0.1", 0)
    with door.sock:
        assert forgiven == [door.sock]


@pytest.mark.parametrize("answer", [0, -1])
def test_forgiving_is_an_order_to_winsock_that_may_fail(answer: int) -> None:
    asked: list[tuple[Any, ...]] = []

    def call(handle: Any, code: Any, _off: Any, size: Any, *rest: Any) -> int:
        asked.append((handle.value, code.value, size.value, len(rest)))
        return answer

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        forgive_clients_that_went(sock, call)
        assert asked == [(sock.fileno(), 0x9800000C, ctypes.sizeof(ctypes.c_int32), 5)]


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("linux", LinuxSockets), ("darwin", MacSockets), ("win32", WindowsSockets)],
)
def test_each_platform_has_its_sockets(platform: str, kind: type[object]) -> None:
    assert type(host_sockets(platform)) is kind
