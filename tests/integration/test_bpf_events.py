"""Which sockets the eBPF programs tell of, on the real kernel: what listens, what is gone, whose.

Rules: TCP that listens and UDP on a port of its choice are told once, and their end once; nothing
else is, nor anything of another network or cgroup.

Counterparts: `bpf_stage.py`; `vmagent/bpf/watch.bpf.c` is what tells.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from link.sockdiag import SockDiag, ephemeral_ports
from tests.cgroup_program import remove_cgroup
from tests.integration.bpf_stage import (
    ANY_PORT,
    IPPROTO_UDPLITE,
    PATIENCE,
    TCP,
    UDP,
    Program,
    Stage,
    bound,
    gone,
    listening,
    new_cgroup,
    on_stage,
    open_stage,
    require_bpf,
)
from tests.private_network import private_network
from vmagent.bpf import system
from vmagent.bpf.events import BindEvent, BindEvents
from vmagent.bpf.hierarchy import open_cgroup
from vmagent.bpf.programs import HOOKS
from vmagent.bpf.system import MapDefinition

IPPROTO_MPTCP: Final = 262
"""linux/in.h."""

SO_REUSEPORT: Final = 15
"""asm-generic/socket.h."""

BPF_F_MMAPABLE: Final = 1 << 10
"""linux/bpf.h."""

COUNT_STATE_CHANGES: Final = """
    61 12 0000 00000000  55 02 0900 0a000000
    62 0a fcff 00000000  bf a2 0000 00000000  07 02 0000 fcffffff
    18 11 0000 %s        00 00 0000 00000000  85 00 0000 01000000
    15 00 0200 00000000  b7 01 0000 01000000  db 10 0000 00000000
    b7 00 0000 01000000  95 00 0000 00000000
"""
"""In C: if (context->op == BPF_SOCK_OPS_STATE_CB) (*map_lookup_elem(map, &zero))++; return 1;"""

ACTIVE_ESTABLISHED_CB: Final = 4
TCP_LISTEN_CB: Final = 11
"""enum of BPF_SOCK_OPS_*, linux/bpf.h."""

WISH_FOR_STATE_CHANGES: Final = """
    61 12 0000 00000000  55 02 0200 %02x000000  b7 02 0000 04000000  85 00 0000 3b000000
    b7 00 0000 01000000  95 00 0000 00000000
"""
"""if (context->op == the one given)
sock_ops_cb_flags_set(context, BPF_SOCK_OPS_STATE_CB_FLAG); return 1;"""

# ---- TCP


@on_stage
def test_a_tcp_listener_is_told_and_its_close(stage: Stage) -> None:
    sock = stage.program.tcp()
    expected = listening(sock, sock.port)
    assert stage.told() == [expected]
    sock.listen()  # again: nothing new
    assert stage.told() == []
    sock.close()
    assert stage.told() == [gone(expected)]


@on_stage
def test_a_listener_without_bind_is_told_with_the_port_it_was_given(stage: Stage) -> None:
    sock = stage.program.open(TCP)
    sock.listen()
    assert stage.told() == [listening(sock, sock.port)]


@on_stage
def test_a_tcp_socket_that_is_bound_and_does_not_listen_is_not_told(stage: Stage) -> None:
    sock = stage.program.open(TCP)
    sock.bind("127.0.0.1", 5000)
    sock.close()
    assert stage.told() == []


@on_stage
def test_a_listener_that_is_shut_down_is_gone_and_may_listen_again(stage: Stage) -> None:
    sock = stage.program.tcp(port=5000)
    expected = listening(sock, 5000)
    sock.do("shutdown", int(socket.SHUT_RD))
    assert stage.told() == [expected, gone(expected)]
    sock.listen()
    sock.close()
    assert stage.told() == [expected, gone(expected)]


@on_stage
def test_a_second_listener_on_a_port_that_is_taken_is_not_told(stage: Stage) -> None:
    first, second = stage.program.open(TCP), stage.program.open(TCP)
    for sock in (first, second):
        sock.do("setsockopt", int(socket.SOL_SOCKET), int(socket.SO_REUSEADDR), 1)
        sock.bind("127.0.0.1", 5000)
    first.listen()
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        second.listen()
    second.close()
    assert stage.told() == [listening(first, 5000)]


@on_stage
def test_connections_are_not_told(stage: Stage) -> None:
    sock = stage.program.tcp()
    assert stage.told() == [listening(sock, sock.port)]
    sock.serve(50)
    assert stage.told() == []


@contextlib.contextmanager
def foreign_program(cgroup: Path, code: str) -> Iterator[None]:
    """Another sockops program at work, after ours."""
    kind, attach_type = HOOKS["sockops"]
    program = system.load_program("foreign", kind, attach_type, bytes.fromhex(code), "")
    directory = open_cgroup(str(cgroup))
    link = system.create_link(program, directory, attach_type)
    try:
        yield
    finally:
        for descriptor in (link, directory, program):
            os.close(descriptor)


@contextlib.contextmanager
def count_state_changes(cgroup: Path) -> Iterator[Callable[[], int]]:
    """How often the kernel tells programs of a TCP socket's new state, from now on."""
    counter = system.create_map("counter", MapDefinition(2, 4, 8, 1, BPF_F_MMAPABLE))
    memory = mmap.mmap(counter, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
    try:
        with foreign_program(cgroup, COUNT_STATE_CHANGES % struct.pack("<i", counter).hex()):
            yield lambda: int(struct.unpack_from("=Q", memory)[0])
    finally:
        memory.close()
        os.close(counter)


@on_stage
def test_connections_do_not_inherit_their_listeners_wish(stage: Stage) -> None:
    with count_state_changes(stage.cgroup) as count:
        sock = stage.program.tcp()
        sock.serve(50)
        assert count() == 0
        sock.close()
        assert count() == 1


@on_stage
def test_state_changes_that_others_ask_for_are_not_told(stage: Stage) -> None:
    with count_state_changes(stage.cgroup) as count:
        with foreign_program(stage.cgroup, WISH_FOR_STATE_CHANGES % ACTIVE_ESTABLISHED_CB):
            sock = stage.program.tcp(port=5000)
            sock.serve(1)
        assert count() > 0
    assert stage.told() == [listening(sock, 5000)]


@on_stage
def test_a_multipath_listener_is_told_as_the_tcp_socket_that_a_dump_shows(stage: Stage) -> None:
    try:
        sock = stage.program.tcp(protocol=IPPROTO_MPTCP)
    except OSError as error:
        pytest.skip(f"no multipath TCP here: {error}")
    diag = SockDiag()
    with contextlib.closing(diag):
        (found,) = diag.listeners()
    expected = BindEvent(found.cookie, sock.port, "tcp", "listening")
    assert stage.told() == [expected]
    sock.close()
    assert stage.told() == [gone(expected)]


# ---- UDP


@on_stage
def test_a_udp_socket_bound_to_a_port_of_its_choice_is_told_and_its_close(stage: Stage) -> None:
    sock = stage.program.udp("127.0.0.1", 5000)
    assert stage.told() == [bound(sock, 5000)]
    sock.close()
    assert stage.told() == [gone(bound(sock, 5000))]


@on_stage
def test_a_port_of_choice_may_be_one_that_the_kernel_chooses_from(stage: Stage) -> None:
    port = ephemeral_ports()[100]
    sock = stage.program.udp("0.0.0.0", port)
    assert stage.told() == [bound(sock, port)]


@on_stage
def test_udp_sockets_on_a_port_of_the_kernels_choice_are_not_told(stage: Stage) -> None:
    stage.program.call("bind_and_close", ANY_PORT, 1000)
    stage.program.udp("::", ANY_PORT).close()
    sender, connected = stage.program.open(UDP), stage.program.open(UDP)
    sender.send(9)
    connected.do("connect", ["127.0.0.1", 9])
    for sock in (sender, connected):
        sock.close()
    assert stage.told() == []


@on_stage
def test_a_bind_that_fails_is_not_told_nor_is_what_follows(stage: Stage) -> None:
    first, second = stage.program.udp("127.0.0.1", 5000), stage.program.open(UDP)
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        second.bind("127.0.0.1", 5000)
    second.bind("127.0.0.1", ANY_PORT)
    second.close()
    assert stage.told() == [bound(first, 5000)]


@on_stage
def test_a_bind_that_succeeds_after_one_that_fails_is_told(stage: Stage) -> None:
    stage.program.udp("127.0.0.1", 5000)
    stage.told()
    sock = stage.program.open(UDP)
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        sock.bind("127.0.0.1", 5000)
    sock.bind("127.0.0.1", 5001)
    assert stage.told() == [bound(sock, 5001)]


@pytest.mark.parametrize(
    ("kind", "protocol", "port"),
    [
        (socket.SOCK_DGRAM, IPPROTO_UDPLITE, 5000),
        (socket.SOCK_RAW, int(socket.IPPROTO_UDP), 5000),
        (socket.SOCK_DGRAM, int(socket.IPPROTO_ICMP), 5000),
    ],
    ids=["UDP-Lite", "raw", "ping"],
)
@private_network
def test_sockets_of_other_protocols_are_not_told(kind: int, protocol: int, port: int) -> None:
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    with open_stage() as stage:
        try:
            sock = stage.program.open(kind, socket.AF_INET, protocol)
        except OSError as error:
            pytest.skip(f"no such sockets here: {error}")
        sock.bind("127.0.0.1", port)
        sock.close()
        assert stage.told() == []


# ---- both


@pytest.mark.parametrize("address", ["::", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
@private_network
def test_every_kind_of_address_is_told(address: str) -> None:
    with open_stage() as stage:
        udp, tcp = stage.program.udp(address, 5000), stage.program.tcp(address, 5000)
        expected = [bound(udp, 5000), listening(tcp, 5000)]
        assert stage.told() == expected
        udp.close()
        tcp.close()
        assert stage.told() == list(map(gone, expected))


@on_stage
def test_listeners_that_share_a_port_are_told_one_by_one(stage: Stage) -> None:
    expected = []
    sockets = [stage.program.open(kind) for kind in (TCP, UDP) for _ in range(3)]
    for sock in sockets:
        sock.do("setsockopt", int(socket.SOL_SOCKET), SO_REUSEPORT, 1)
        sock.bind("127.0.0.1", 5000)
    for sock in sockets[:3]:
        sock.listen()
    expected = [bound(each, 5000) for each in sockets[3:]]
    expected += [listening(each, 5000) for each in sockets[:3]]
    assert stage.told() == expected
    sockets[0].close()
    sockets[4].close()
    assert stage.told() == [gone(listening(sockets[0], 5000)), gone(bound(sockets[4], 5000))]


@on_stage
def test_a_socket_is_gone_when_the_last_process_that_holds_it_ends(stage: Stage) -> None:
    udp, tcp = stage.program.udp("127.0.0.1", 5000), stage.program.tcp(port=5000)
    expected = [bound(udp, 5000), listening(tcp, 5000)]
    assert stage.told() == expected
    child = stage.program.call("fork")
    stage.program.kill()
    assert stage.told() == []
    os.kill(child, signal.SIGKILL)
    told: list[BindEvent] = []
    while len(told) < 2:
        assert select.select([stage.events], [], [], PATIENCE)[0]
        told += stage.told()
    assert sorted(told) == sorted(map(gone, expected))


@on_stage
def test_listeners_of_a_process_that_is_killed_are_gone(stage: Stage) -> None:
    udp, tcp = stage.program.udp("127.0.0.1", 5000), stage.program.tcp(port=5000)
    stage.told()
    stage.program.kill()
    expected = [gone(bound(udp, 5000)), gone(listening(tcp, 5000))]
    assert sorted(stage.told()) == sorted(expected)


# ---- whose sockets


@on_stage
def test_sockets_of_another_network_are_not_told(stage: Stage) -> None:
    if stage.events.variant != "eBPF":
        pytest.skip("this kernel does not tell its programs the network")
    stage.program.call("leave_network")
    stage.program.udp("0.0.0.0", 5000).close()
    stage.program.tcp("0.0.0.0").close()
    with foreign_program(stage.cgroup, WISH_FOR_STATE_CHANGES % TCP_LISTEN_CB):
        stage.program.tcp("0.0.0.0").close()
    assert stage.told() == []


@on_stage
def test_sockets_of_another_cgroup_are_not_told_and_those_of_one_below_are(stage: Stage) -> None:
    with new_cgroup("-other") as other, Program.running(other) as stranger:
        stranger.udp("127.0.0.1", 5000).close()
        stranger.tcp().close()
        assert stage.told() == []
    below = stage.cgroup / "below"
    below.mkdir()
    try:
        with Program.running(below) as program:
            sock = program.udp("127.0.0.1", 5000)
            assert stage.told() == [bound(sock, 5000)]
    finally:
        remove_cgroup(below)


@private_network
def test_the_whole_tree_is_seen_without_a_mount() -> None:
    require_bpf()
    with new_cgroup() as cgroup, Program.running(cgroup) as program:
        with contextlib.closing(BindEvents(None)) as events:
            sock = program.udp("127.0.0.1", 5000)
            assert bound(sock, 5000) in events.drain().events


@on_stage
def test_listeners_that_were_there_before_are_followed(stage: Stage) -> None:
    stage.events.close()
    sockets = [
        stage.program.udp("127.0.0.1", ANY_PORT),
        stage.program.udp("127.0.0.1", 5000),
        stage.program.tcp(port=5000),
    ]
    expected = sorted(
        BindEvent(sock.cookie, sock.port, protocol, "gone")
        for sock, protocol in zip(sockets, ("udp", "udp", "tcp"), strict=True)
    )
    diag = SockDiag()
    with contextlib.closing(diag), contextlib.closing(BindEvents(str(stage.cgroup))) as events:
        assert events.follow(diag.listeners())
        assert events.drain().events == []
        for sock in sockets:
            sock.close()
        assert sorted(events.drain().events) == expected
