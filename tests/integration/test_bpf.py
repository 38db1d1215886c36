"""What the eBPF programs tell, on the real kernel.

Counterpart: `bpf_stage.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import mmap
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from link.sockdiag import SockDiag, ephemeral_ports
from tests.cgroup_program import remove_cgroup
from tests.integration.bpf_stage import (
    ANY_PORT,
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
from vmagent.bpf import events as events_module
from vmagent.bpf import system
from vmagent.bpf.bytecode import MAPS, PROGRAMS
from vmagent.bpf.events import ALWAYS, MOST_EVENTS, BindEvent, BindEvents
from vmagent.bpf.hierarchy import open_cgroup
from vmagent.bpf.programs import HOOKS
from vmagent.bpf.system import BpfError, MapDefinition

PROJECT: Final = Path(__file__).parents[2]

IPPROTO_MPTCP: Final = 262
IPPROTO_UDPLITE: Final = 136
SO_REUSEPORT: Final = 15
"""linux/in.h and asm-generic/socket.h."""

OURS: Final = len(ALWAYS) + 1
"""Programs at work; of those for TCP one is chosen."""

RECORD_BYTES: Final = 24
"""Of one event in the ring buffer: header and struct event."""

BPF_PROG_ATTACH: Final = 8
BPF_PROG_DETACH: Final = 9
BPF_PROG_QUERY: Final = 16
BPF_LINK_GET_FD_BY_ID: Final = 30
BPF_LINK_GET_NEXT_ID: Final = 31
BPF_LINK_DETACH: Final = 34
"""linux/bpf.h."""

BPF_F_MMAPABLE: Final = 1 << 10

COUNT_STATE_CHANGES: Final = """
    61 12 0000 00000000  55 02 0900 0a000000
    62 0a fcff 00000000  bf a2 0000 00000000  07 02 0000 fcffffff
    18 11 0000 %s        00 00 0000 00000000  85 00 0000 01000000
    15 00 0200 00000000  b7 01 0000 01000000  db 10 0000 00000000
    b7 00 0000 01000000  95 00 0000 00000000
"""
"""In C: if (context->op == BPF_SOCK_OPS_STATE_CB) (*map_lookup_elem(map, &zero))++; return 1;"""

WISH_FOR_STATE_CHANGES: Final = """
    61 12 0000 00000000  55 02 0200 04000000  b7 02 0000 04000000  85 00 0000 3b000000
    b7 00 0000 01000000  95 00 0000 00000000
"""
"""if (context->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
sock_ops_cb_flags_set(context, BPF_SOCK_OPS_STATE_CB_FLAG); return 1;"""

SYS_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3: Final = 0x20080522
"""asm/unistd_64.h, asm-generic/unistd.h, linux/capability.h."""

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
        with foreign_program(stage.cgroup, WISH_FOR_STATE_CHANGES):
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


# ---- much


@pytest.mark.parametrize("is_read", [True, False], ids=["read", "not read"])
@private_network
def test_of_a_burst_of_binds_each_event_is_told_or_counted_as_lost(is_read: bool) -> None:
    # More than the table of sockets holds, and three times what the ring does.
    binds, each_time = 33_000, 500
    with open_stage() as stage:
        told = lost = 0
        for _ in range(binds // each_time):
            stage.program.call("bind_and_close", 5000, each_time)
            while is_read:
                drained = stage.events.drain()
                told, lost = told + len(drained.events), lost + drained.lost
                if not drained.events:
                    break
        if is_read:
            assert (told, lost) == (2 * binds, 0)
        first = stage.events.drain()
        told, lost = told + len(first.events), lost + first.lost
        told += len(stage.told())
        assert told + lost == 2 * binds
        assert is_read or told == MAPS["samehost_events"].entries // RECORD_BYTES
        assert stage.events.lost == lost
        sock = stage.program.udp("127.0.0.1", 5000)
        assert stage.told() == [bound(sock, 5000)]


@on_stage
def test_a_read_is_bounded_and_the_rest_is_still_to_be_read(stage: Stage) -> None:
    stage.program.call("bind_and_close", 5000, MOST_EVENTS)
    assert len(stage.events.drain().events) == MOST_EVENTS
    assert select.select([stage.events], [], [], 0)[0] == [stage.events]
    assert len(stage.events.drain().events) == MOST_EVENTS
    assert select.select([stage.events], [], [], 0)[0] == []


class Known:
    """A socket that a dump might have shown."""

    protocol = "udp"
    port = 5000

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie


@on_stage
def test_a_bind_that_the_table_has_no_room_for_wakes_and_counts_as_lost(stage: Stage) -> None:
    room = MAPS["samehost_binds"].entries
    assert stage.events.follow(Known(1 << 40 | each) for each in range(room))
    assert not stage.events.follow([Known(1 << 50)])
    stage.program.udp("127.0.0.1", ANY_PORT)  # needs no room, as little as
    with contextlib.suppress(OSError):  # where there is no UDP-Lite
        stage.program.open(UDP, protocol=IPPROTO_UDPLITE).bind("127.0.0.1", 5000)
    assert stage.told() == []
    assert select.select([stage.events], [], [], 0)[0] == []
    stage.program.udp("127.0.0.1", 5000)
    assert select.select([stage.events], [], [], 0)[0] == [stage.events]
    drained = stage.events.drain()
    assert (drained.events, drained.lost) == ([], 1)


# ---- the event loop


@on_stage
def test_an_event_loop_is_woken(stage: Stage) -> None:
    async def scenario() -> list[BindEvent]:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        loop.add_reader(stage.events, woken.set)
        try:
            await loop.run_in_executor(None, stage.program.tcp, "127.0.0.1", 5000)
            await asyncio.wait_for(woken.wait(), PATIENCE)
        finally:
            loop.remove_reader(stage.events)
        return stage.told()

    assert [each.kind for each in asyncio.run(scenario())] == ["listening"]


# ---- attaching and detaching


def bpf(command: int, attributes: bytes, size: int = 64) -> tuple[int, bytes]:
    """The result of bpf(2), and the attributes as the kernel left them."""
    buffer = ctypes.create_string_buffer(attributes, size)
    number = system.call_number(platform.machine(), 8)
    result = system.system_call(number, ctypes.c_int(command), buffer, ctypes.c_uint(size))
    return result, buffer.raw


def links_of(cgroup: Path) -> list[int]:
    """The ids of all links to that cgroup, of whatever process."""
    found: list[int] = []
    link = 0
    while True:
        try:
            _, answer = bpf(BPF_LINK_GET_NEXT_ID, struct.pack("=I", link))
        except BpfError as error:
            if error.errno == errno.ENOENT:
                return found
            raise
        (link,) = struct.unpack_from("=4xI", answer)
        try:
            descriptor, _ = bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("=I", link))
        except BpfError as error:
            if error.errno == errno.ENOENT:  # gone in the meantime
                continue
            raise
        if link_cgroup(descriptor) == cgroup.stat().st_ino:
            found.append(link)
        os.close(descriptor)


def link_cgroup(descriptor: int) -> int:
    info = ctypes.create_string_buffer(64)
    bpf(system.BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, 64, ctypes.addressof(info)))
    return int(struct.unpack_from("=16xQ", info)[0])


def programs_at(cgroup: Path) -> int:
    """How many programs the kernel says are attached to the cgroup, at our hooks."""
    directory = open_cgroup(str(cgroup))
    try:
        query = [
            bpf(BPF_PROG_QUERY, struct.pack("=IIIIQI", directory, attach_type, 0, 0, 0, 0))[1]
            for _, attach_type in HOOKS.values()
        ]
    finally:
        os.close(directory)
    return sum(struct.unpack_from("=24xI", answer)[0] for answer in query)


LOADER: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from vmagent.bpf.events import BindEvents
events = BindEvents(sys.argv[2])
print(events.variant, flush=True)
sys.stdin.read()
"""


@private_network
def test_nothing_stays_attached_when_the_process_that_attached_is_killed() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        command = [sys.executable, "-I", "-c", LOADER, str(PROJECT), str(cgroup)]
        loader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with loader:
            assert loader.stdout is not None
            assert loader.stdout.readline().startswith(b"eBPF")
            assert (len(links_of(cgroup)), programs_at(cgroup)) == (OURS, OURS)
            loader.kill()
        deadline = time.monotonic() + PATIENCE
        while links_of(cgroup) or programs_at(cgroup):
            assert time.monotonic() < deadline
            time.sleep(0.001)


@private_network
def test_nothing_stays_attached_or_open_after_close() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        before = os.listdir("/proc/self/fd")
        for _ in range(2):
            first, second = BindEvents(str(cgroup)), BindEvents(str(cgroup))
            assert programs_at(cgroup) == 2 * OURS
            assert first.attached
            for events in (first, first, second):
                events.close()
            assert first.fileno() == -1
            assert (links_of(cgroup), programs_at(cgroup)) == ([], 0)
        assert os.listdir("/proc/self/fd") == before


@on_stage
def test_a_program_that_somebody_detaches_is_noticed(stage: Stage) -> None:
    assert stage.events.attached
    descriptor, _ = bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("=I", links_of(stage.cgroup)[0]))
    bpf(BPF_LINK_DETACH, struct.pack("=I", descriptor))
    os.close(descriptor)
    assert not stage.events.attached


# ---- where it cannot be


def refused(cgroup: str) -> str:
    """The reason, after nothing was left open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BpfError) as caught:
        BindEvents(cgroup)
    assert os.listdir("/proc/self/fd") == before
    return str(caught.value)


@private_network
def test_a_directory_that_is_no_cgroup_is_refused_with_the_reason(tmp_path: Path) -> None:
    require_bpf()
    assert "not a cgroup v2 directory" in refused(str(tmp_path))
    assert f"there is no cgroup {tmp_path}/none" in refused(f"{tmp_path}/none")


@private_network
def test_who_may_not_is_told_what_is_needed() -> None:
    require_bpf()

    def refused_without_capabilities(cgroup: str) -> str:
        # Those of a thread, which ends here.
        none = struct.pack("=6I", 0, 0, 0, 0, 0, 0)
        header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
        system.system_call(SYS_CAPSET[platform.machine()], header, none)
        return refused(cgroup)

    with new_cgroup() as cgroup, ThreadPoolExecutor(1) as executor:
        reason = executor.submit(refused_without_capabilities, str(cgroup)).result()
    assert "CAP_BPF and CAP_NET_ADMIN" in reason


@private_network
def test_a_foreign_program_that_wants_the_cgroup_for_itself_is_said_to_be_the_reason() -> None:
    require_bpf()
    with new_cgroup() as cgroup:
        kind, attach_type = HOOKS["cgroup/post_bind6"]
        go_on = bytes.fromhex("b700000001000000 9500000000000000")
        foreign = system.load_program("foreign", kind, attach_type, go_on, "")
        directory = open_cgroup(str(cgroup))
        attributes = struct.pack("=IIII", directory, foreign, attach_type, 0)
        try:
            bpf(BPF_PROG_ATTACH, attributes)
            assert "another program has the cgroup for itself" in refused(str(cgroup))
            assert links_of(cgroup) == []
            bpf(BPF_PROG_DETACH, attributes)
        finally:
            os.close(directory)
            os.close(foreign)
        BindEvents(str(cgroup)).close()


# ---- older kernels


def break_program(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make it call a helper that no kernel has."""
    program = PROGRAMS[name]
    unknown = struct.pack("<BBhi", 0x85, 0, 0, 9999)
    broken = program._replace(code=unknown + program.code[8:])
    monkeypatch.setitem(PROGRAMS, name, broken)


@private_network
def test_a_kernel_without_the_newest_helper_tells_of_all_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_program(monkeypatch, "samehost_tcp_ns")
    with open_stage() as stage:
        assert stage.events.variant == "eBPF of all network namespaces"
        first = stage.program.tcp(port=5000)
        stage.program.call("leave_network")
        second = stage.program.tcp(port=5001)
        assert stage.told() == [listening(first, 5000), listening(second, 5001)]


@private_network
def test_a_program_that_the_kernel_refuses_is_named_with_the_kernels_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_bpf()
    break_program(monkeypatch, "samehost_close")
    with new_cgroup() as cgroup:
        reason = refused(str(cgroup))
    assert "older than Linux 5.9" in reason
    assert "samehost_close" in reason
    assert "invalid func" in reason


@private_network
def test_a_kernel_that_does_not_tell_the_network_lets_through_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown_option = 0x7FFF
    monkeypatch.setattr(events_module, "SO_NETNS_COOKIE", unknown_option)
    with open_stage() as stage:
        stage.program.call("leave_network")
        sock = stage.program.udp("127.0.0.1", 5000)
        assert stage.told() == [bound(sock, 5000)]
