"""Containers reach the desktop's ports: by stubs and by redirect, the same for their programs.

Counterpart: `tests/ports_stage.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

import pytest

from link.messages import StubKey
from link.sockdiag import SockDiag
from tests.ports_stage import WAYS, Stage, on_stage
from vmagent.desktop_ports.redirect import Redirect

PORT: Final = 8080
OTHER: Final = 8081

every_way = pytest.mark.parametrize("way", WAYS)
by_redirect = pytest.mark.parametrize("way", ["redirect"])

V4 = StubKey("127.0.0.1", PORT)
V6 = StubKey("::1", PORT)
UDP4 = StubKey("127.0.0.1", PORT, "udp")
UDP6 = StubKey("::1", PORT, "udp")

# ---- TCP


@every_way
@on_stage
async def test_a_tcp_connection_reaches_the_desktop_and_shows_the_peer_asked_for(
    stage: Stage,
) -> None:
    stage.open(V4, V6)
    for address in ("127.0.0.1", "::1"):
        heard, *peer = await stage.container.tell("tcp", address, PORT, "abc")
        assert heard == f"{address} {PORT} abc"
        assert peer == [address, PORT]
    assert stage.served == [V4, V6]


@every_way
@on_stage
async def test_a_v4_mapped_address_is_the_ipv4_one(stage: Stage) -> None:
    stage.open(V4)
    heard, *peer = await stage.container.tell("tcp", "::ffff:127.0.0.1", PORT)
    assert heard.startswith(f"127.0.0.1 {PORT} ")
    assert peer == ["::ffff:127.0.0.1", PORT]


@every_way
@on_stage
async def test_an_unspecified_address_means_loopback(stage: Stage) -> None:
    stage.open(V4, V6)
    for address, meant in (("0.0.0.0", "127.0.0.1"), ("::", "::1")):
        heard, *peer = await stage.container.tell("tcp", address, PORT)
        assert heard.startswith(f"{meant} {PORT} ")
        assert peer == [meant, PORT]


@every_way
@on_stage
async def test_a_client_comes_from_loopback(stage: Stage) -> None:
    stage.open(V4, V6)
    for address in ("127.0.0.1", "::1"):
        assert await stage.container.tell("tcp_name", address, PORT) == address


@every_way
@on_stage
async def test_a_port_that_nobody_has_is_refused(stage: Stage) -> None:
    stage.open(V4, UDP4)
    for address in ("127.0.0.1", "::1"):
        for kind in ("tcp", "udp_connected"):
            assert await stage.container.error_of(kind, address, OTHER) == "ECONNREFUSED"


@every_way
@on_stage
async def test_families_and_protocols_are_told_apart(stage: Stage) -> None:
    stage.open(V4)
    assert await stage.container.error_of("tcp", "::1", PORT) == "ECONNREFUSED"
    assert await stage.container.error_of("udp_connected", "127.0.0.1", PORT) == "ECONNREFUSED"


@every_way
@on_stage
async def test_a_port_that_is_closed_is_refused_at_once_and_its_connections_live_on(
    stage: Stage,
) -> None:
    stage.open(V4)
    await stage.container.tell("hold", "kept", "127.0.0.1", PORT)
    assert await stage.container.tell("hear", "kept") == f"127.0.0.1 {PORT} "
    stage.close(V4)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == "ECONNREFUSED"
    assert await stage.container.tell("say", "kept", "still") == "still"
    stage.open(V4)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == ""


@every_way
@on_stage
async def test_opening_and_closing_again_is_a_success(stage: Stage) -> None:
    stage.open(V4, UDP6)
    stage.open(V4, UDP6)
    stage.close(V4, UDP6)
    stage.close(V4, UDP6)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == "ECONNREFUSED"


@every_way
@on_stage
async def test_no_other_address_is_opened(stage: Stage) -> None:
    (result,) = stage.ports.open([StubKey("0.0.0.0", PORT)])
    assert not result.is_open
    assert os.strerror(result.errno) == "Permission denied"


@every_way
@on_stage
async def test_all_ports_are_closed_together(stage: Stage) -> None:
    stage.open(V4, V6, UDP4, UDP6)
    stage.ports.close_all()
    for address in ("127.0.0.1", "::1"):
        for kind in ("tcp", "udp_connected"):
            assert await stage.container.error_of(kind, address, PORT) == "ECONNREFUSED"


# ---- UDP


@every_way
@on_stage
async def test_a_datagrams_reply_comes_from_the_address_asked_for(stage: Stage) -> None:
    stage.open(UDP4, UDP6)
    for address in ("127.0.0.1", "::1"):
        answer = await stage.container.tell("udp", address, PORT, "abc")
        assert answer == ["desktop:abc", address, PORT]
    assert stage.served == [UDP4, UDP6]


@every_way
@on_stage
async def test_a_connected_udp_socket_shows_the_peer_asked_for(stage: Stage) -> None:
    stage.open(UDP4, UDP6)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        answer = await stage.container.tell("udp_connected", address, PORT)
        assert answer == ["desktop:hello", address, PORT, address, PORT]


@every_way
@on_stage
async def test_a_v4_mapped_datagram_is_answered_from_the_address_asked_for(stage: Stage) -> None:
    stage.open(UDP4)
    answer = await stage.container.tell("udp", "::ffff:127.0.0.1", PORT)
    assert answer == ["desktop:hello", "::ffff:127.0.0.1", PORT]


@every_way
@on_stage
async def test_a_client_with_a_port_of_its_own_is_answered(stage: Stage) -> None:
    stage.open(UDP4, UDP6)
    for address in ("127.0.0.1", "::1"):
        answer = await stage.container.tell("udp", address, PORT, "abc", [address, 5555])
        assert answer == ["desktop:abc", address, PORT]


@every_way
@on_stage
async def test_one_socket_speaks_to_two_ports(stage: Stage) -> None:
    stage.open(UDP4, StubKey("127.0.0.1", OTHER, "udp"))
    answers = await stage.container.tell("udp_two", "127.0.0.1", PORT, OTHER)
    assert answers == [["desktop:?", PORT], ["desktop:?", OTHER]]


@every_way
@on_stage
async def test_an_empty_and_a_large_datagram_pass(stage: Stage) -> None:
    stage.open(UDP4)
    for words in ("", "x" * 60_000):
        answer = await stage.container.tell("udp", "127.0.0.1", PORT, words)
        assert answer == [f"desktop:{words}", "127.0.0.1", PORT]


# ---- a port that the desktop has is taken


@every_way
@on_stage
async def test_a_container_cannot_bind_what_the_desktop_has(stage: Stage) -> None:
    bind = "bind"
    assert await stage.container.error_of(bind, "127.0.0.1", PORT) == ""
    stage.open(V4, UDP4)
    for kind in ("tcp", "udp"):
        for address in ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"):
            assert await stage.container.error_of(bind, address, PORT, kind) == "EADDRINUSE"
        for address in ("127.0.0.2", "::1"):
            assert await stage.container.error_of(bind, address, PORT, kind) == ""
        assert await stage.container.error_of(bind, "0.0.0.0", OTHER, kind) == ""
        assert await stage.container.error_of(bind, "0.0.0.0", 0, kind) == ""
    stage.close(V4, UDP4)
    for kind in ("tcp", "udp"):
        assert await stage.container.error_of(bind, "0.0.0.0", PORT, kind) == ""


@every_way
@on_stage
async def test_of_what_the_desktop_has_on_ipv6_the_ipv4_port_is_free(stage: Stage) -> None:
    stage.open(V6, UDP6)
    for kind in ("tcp", "udp"):
        for address in ("::1", "::"):
            assert await stage.container.error_of("bind", address, PORT, kind) == "EADDRINUSE"
        for address in ("127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"):
            assert await stage.container.error_of("bind", address, PORT, kind) == ""


@every_way
@on_stage
async def test_reuse_of_addresses_does_not_help(stage: Stage) -> None:
    stage.open(V4)
    reuse = [[1, 2, 1], [1, 15, 1]]  # SO_REUSEADDR, SO_REUSEPORT (asm-generic/socket.h)
    assert await stage.container.error_of("bind", "0.0.0.0", PORT, "tcp", reuse) == "EADDRINUSE"


@every_way
@on_stage
async def test_a_server_in_the_machine_comes_first(stage: Stage) -> None:
    for address, key in (("127.0.0.1", V4), ("::1", V6), ("0.0.0.0", V4), ("::", V6), ("::", V4)):
        await stage.outsider.tell("serve", "server", address, PORT)
        (result,) = stage.ports.open([key])
        assert (result.is_open, result.errno) == (False, errno.EADDRINUSE)
        await stage.container.tell("hold", "client", key.address, PORT)
        await stage.outsider.tell("answer", "server")
        assert await stage.container.tell("hear", "client") == "machine"
        await stage.outsider.tell("release", "server")
        stage.open(key)
        heard, *_ = await stage.container.tell("tcp", key.address, PORT)
        assert heard.startswith(key.address)
        await stage.container.tell("release", "client")
        stage.close(key)


@every_way
@on_stage
async def test_a_server_on_another_address_of_the_machine_is_in_nobodys_way(stage: Stage) -> None:
    await stage.outsider.tell("serve", "tcp", "127.0.0.2", PORT)
    await stage.outsider.tell("serve", "udp", "127.0.0.2", PORT, "udp")
    stage.open(V4, V6, UDP4, UDP6)


@every_way
@on_stage
async def test_who_connected_by_udp_before_the_desktop_served_is_served(stage: Stage) -> None:
    for key in (UDP4, UDP6):
        await stage.container.tell("hold", "client", key.address, PORT, "udp")
        with pytest.raises(ConnectionRefusedError):
            await stage.container.tell("say", "client", "hello?")
        stage.open(key)
        assert await stage.container.tell("say", "client", "hello?") == "desktop:hello?"
        assert await stage.container.tell("udp", key.address, PORT) == [
            "desktop:hello",
            key.address,
            PORT,
        ]
        assert await stage.container.error_of("bind", key.address, PORT, "udp") == "EADDRINUSE"
        await stage.container.tell("release", "client")
        stage.close(key)


@every_way
@on_stage
async def test_a_connected_udp_client_is_told_that_the_desktops_server_has_gone(
    stage: Stage,
) -> None:
    stage.open(UDP4, UDP6)
    for address in ("127.0.0.1", "::1"):
        await stage.container.tell("hold", address, address, PORT, "udp")
        assert await stage.container.tell("say", address, "hello") == "desktop:hello"
    stage.end_server()
    for address in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            await stage.container.tell("say", address, "hello?")


# ---- redirect alone


@by_redirect
@on_stage
async def test_a_server_in_the_machine_may_come_later(stage: Stage) -> None:
    stage.open(V4, UDP4)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == ""
    await stage.outsider.tell("serve", "tcp", "0.0.0.0", PORT)
    await stage.outsider.tell("serve", "udp", "0.0.0.0", PORT, "udp")
    served = len(stage.served)
    await stage.container.tell("hold", "client", "127.0.0.1", PORT)
    await stage.outsider.tell("answer", "tcp")
    assert len(stage.served) == served
    assert isinstance(stage.ports, Redirect)
    with contextlib.closing(SockDiag()) as diag:
        stage.ports.others_came(diag.listeners())
    told = {(each.stub, each.is_open, each.errno) for each in stage.lost}
    assert told == {(key, False, errno.EADDRINUSE) for key in (V4, UDP4)}
    for name in ("tcp", "udp"):
        await stage.outsider.tell("release", name)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == "ECONNREFUSED"
    stage.open(V4, UDP4)
    assert await stage.container.error_of("tcp", "127.0.0.1", PORT) == ""


@by_redirect
@on_stage
async def test_the_machines_own_programs_keep_the_machines_loopback(stage: Stage) -> None:
    stage.open(V4, V6, UDP4, UDP6)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        for kind in ("tcp", "udp_connected"):
            assert await stage.outsider.error_of(kind, address, PORT) == "ECONNREFUSED"
    for kind in ("tcp", "udp"):
        assert await stage.outsider.error_of("bind", "0.0.0.0", PORT, kind) == ""


@by_redirect
@on_stage
async def test_a_thousand_ports_cost_no_sockets(stage: Stage) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    inodes = stage.ports.inodes
    keys = [
        StubKey(address, port, protocol)
        for address in ("127.0.0.1", "::1")
        for protocol in ("tcp", "udp")
        for port in range(10_000, 11_000)
    ]
    stage.open(*keys)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert stage.ports.inodes == inodes
    assert len(inodes) == 4
    heard, *_ = await stage.container.tell("tcp", "::1", 10_999)
    assert heard.startswith("::1 10999 ")
    stage.close(*keys)
    assert await stage.container.error_of("tcp", "::1", 10_999) == "ECONNREFUSED"


@by_redirect
@on_stage
async def test_the_agents_own_port_serves_nobody(stage: Stage) -> None:
    stage.open(V4)
    assert await stage.outsider.error_of("tcp", "127.0.0.1", 1) == "ECONNRESET"
    assert await stage.outsider.error_of("tcp", "127.77.0.9", 1) == "ECONNRESET"
    assert await stage.outsider.error_of("udp_connected", "127.77.0.9", 1) == "ECONNREFUSED"
    assert stage.served == []
