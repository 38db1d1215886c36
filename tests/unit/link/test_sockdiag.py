"""Reading sock_diag messages: pure, so without a kernel."""

from __future__ import annotations

import errno
import operator
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.listener import Container
from link.processes import Process
from link.sockdiag import (
    ListeningSocket,
    SockDiag,
    SockDiagError,
    dump_request,
    ephemeral_ports,
    parse_batch,
    to_listener,
)
from link.sockdiag_wire import FILTER_STEP, MOST_PORTS_IN_FILTER, PROTOCOLS, events_filter

SEQUENCE = 7
DONE, ERROR = 3, 2
NUMBERS = {"tcp": 6, "udp": 17}
STATES = {"tcp": 10, "udp": 7}

both_protocols = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def message(kind: int, body: bytes, flags: int = 2, sequence: int = SEQUENCE) -> bytes:
    """One netlink message, padded."""
    head = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0)
    return head + body + b"\0" * (-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def diag(
    address: str = "127.0.0.1",
    port: int = 8000,
    cookie: int = 1 << 40 | 5,
    state: int = 10,
    attributes: bytes = b"",
    peer: int = 0,
    interface: int = 0,
) -> bytes:
    """The body of a socket, as struct inet_diag_msg lays it out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address).ljust(16, b"\0")
    identity = struct.pack(">HH16s16x", port, peer, source) + struct.pack("=I", interface)
    identity += struct.pack("=II", cookie & 0xFFFFFFFF, cookie >> 32)
    rest = struct.pack("=IIIII", 0, 0, 0, 1000, 4242)
    return struct.pack("=BBBB", family, state, 0, 0) + identity + rest + attributes


def read(data: bytes, protocol: str = "tcp") -> list[ListeningSocket]:
    return list(parse_batch(data, SEQUENCE, protocol, {}).sockets.values())


@both_protocols
def test_a_request_has_the_kernel_filter_by_state(protocol: str) -> None:
    request = dump_request(protocol, socket.AF_INET6, 9)
    length, kind, flags, sequence, port = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags, sequence, port) == (72, 20, 0x301, 9, 0)
    asked = struct.unpack_from("=BBBxI", request, 16)
    assert asked == (10, NUMBERS[protocol], 0, 1 << STATES[protocol])


@both_protocols
def test_a_socket_is_read_with_all_its_fields(protocol: str) -> None:
    extra = attribute(8, b"\3") + attribute(21, struct.pack("=Q", 1 << 33 | 17))
    body = diag(state=STATES[protocol], attributes=extra, interface=3)
    assert read(message(20, body), protocol) == [
        ListeningSocket(
            protocol=protocol,
            family=socket.AF_INET,
            packed_address=b"\x7f\0\0\1",
            port=8000,
            interface=3,
            cookie=1 << 40 | 5,
            uid=1000,
            inode=4242,
            v6only=False,
            cgroup_id=1 << 33 | 17,
        )
    ]


@both_protocols
@pytest.mark.parametrize(("flag", "v6only"), [(b"\0", False), (b"\1", True)])
def test_the_wildcard_is_dual_stack_unless_it_is_v6only(
    protocol: str, flag: bytes, v6only: bool
) -> None:
    body = diag("::", state=STATES[protocol], attributes=attribute(11, flag))
    (record,) = read(message(20, body), protocol)
    listener = to_listener(record)
    assert (listener.v6only, listener.is_dual_stack) == (v6only, not v6only)


@pytest.mark.parametrize("address", ["::1", "0.0.0.0", "127.0.0.1"])
def test_only_the_ipv6_wildcard_takes_ipv4_peers(address: str) -> None:
    (record,) = read(message(20, diag(address)))
    assert to_listener(record).v6only


def test_a_mapped_address_is_the_ipv4_address_it_stands_for() -> None:
    (record,) = read(message(20, diag("::ffff:127.0.0.2")))
    assert to_listener(record).address == "127.0.0.2"


@pytest.mark.parametrize(
    ("address", "interface", "told"),
    [
        ("0.0.0.0", 2, "0.0.0.2"),
        ("::", 2, "::2"),
        ("::ffff:0.0.0.0", 2, "0.0.0.2"),
        ("0.0.0.0", 70_000, "0.0.0.255"),
        ("0.0.0.0", 1, "0.0.0.0"),
        ("::", 1, "::"),
        ("192.0.2.7", 2, "192.0.2.7"),
        ("127.0.0.1", 2, "127.0.0.1"),
    ],
)
def test_a_wildcard_of_one_interface_is_told_from_that_of_all(
    address: str, interface: int, told: str
) -> None:
    (record,) = read(message(20, diag(address, interface=interface)))
    assert to_listener(record).address == told


@both_protocols
def test_a_listener_carries_who_it_belongs_to(protocol: str) -> None:
    (record,) = read(message(20, diag(state=STATES[protocol])), protocol)
    container = Container("c" * 64, "web", "docker")
    listener = to_listener(record, container, Process(12, "nginx"))
    assert (listener.container, listener.process, listener.pid) == (container, "nginx", 12)
    assert (listener.id, listener.inode, listener.protocol) == (record.cookie, 4242, protocol)


def test_a_process_that_is_gone_has_no_name() -> None:
    (record,) = read(message(20, diag()))
    assert to_listener(record, None, Process(12, "")).process is None


def test_the_end_of_a_dump_is_told() -> None:
    data = message(20, diag())
    batch = parse_batch(data + message(DONE, struct.pack("=i", 0)), SEQUENCE, "tcp", {})
    assert batch.finished
    assert len(batch.sockets) == 1
    assert not parse_batch(data, SEQUENCE, "tcp", {}).finished


def test_an_answer_to_another_request_is_left_out() -> None:
    stale = message(20, diag(port=1), sequence=6) + message(DONE, b"", sequence=6)
    batch = parse_batch(stale + message(20, diag(port=2)), SEQUENCE, "tcp", {})
    assert [each.port for each in batch.sockets.values()] == [2]
    assert not batch.finished


def test_a_known_socket_is_not_read_again() -> None:
    data = message(20, diag())
    known = parse_batch(data, SEQUENCE, "tcp", {}).sockets
    (again,) = parse_batch(data, SEQUENCE, "tcp", known).sockets.values()
    assert again is next(iter(known.values()))


def test_a_known_cookie_on_another_port_is_read_again() -> None:
    known = parse_batch(message(20, diag(port=1)), SEQUENCE, "tcp", {}).sockets
    (again,) = parse_batch(message(20, diag(port=2)), SEQUENCE, "tcp", known).sockets.values()
    assert again.port == 2


@pytest.mark.parametrize(("port", "peer"), [(0, 0), (0, 53), (40000, 53)])
def test_a_socket_that_is_being_bound_or_connected_is_left_out(port: int, peer: int) -> None:
    half_way = message(20, diag(port=port, state=7, peer=peer))
    (record,) = read(half_way + message(20, diag(port=53, state=7)), "udp")
    assert record.port == 53


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_an_error_of_the_kernel_keeps_its_number(kind: int) -> None:
    with pytest.raises(SockDiagError) as caught:
        read(message(kind, struct.pack("=i", -errno.EBUSY)))
    assert caught.value.errno == errno.EBUSY


@both_protocols
@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_what_the_kernel_lacks_is_named(protocol: str, kind: int) -> None:
    with pytest.raises(SockDiagError, match=f"CONFIG_INET_{protocol.upper()}_DIAG"):
        read(message(kind, struct.pack("=i", -errno.ENOENT)), protocol)


def test_an_interrupted_dump_is_to_be_done_again() -> None:
    with pytest.raises(SockDiagError) as caught:
        read(message(20, diag(), flags=0x12))
    assert caught.value.errno == errno.EINTR


@pytest.mark.parametrize(
    "data",
    [
        b"\1",
        message(20, diag())[:40],
        message(20, diag()[:71]),
        message(20, diag(state=1)),
        message(20, diag(state=7)),
        message(20, b"\1" + diag()[1:]),
        message(20, diag(attributes=b"\3\0\1\0")),
        message(20, diag(attributes=b"\xff\0\1\0")),
        message(20, diag(attributes=b"\4\0")),
        message(ERROR, b""),
        struct.pack("=IHHII", 15, 20, 0, SEQUENCE, 0),
    ],
)
def test_a_malformed_message_is_a_clear_error(data: bytes) -> None:
    with pytest.raises(SockDiagError) as caught:
        read(data)
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize("kind", [DONE, ERROR])
@pytest.mark.parametrize("number", [-(1 << 31), -4096])
def test_a_number_that_no_error_has_is_a_malformed_message(kind: int, number: int) -> None:
    with pytest.raises(SockDiagError, match="no error") as caught:
        read(message(kind, struct.pack("=i", number)))
    assert caught.value.errno == errno.EBADMSG


@given(st.binary(max_size=400), st.sampled_from(["tcp", "udp"]))
def test_any_bytes_are_read_or_refused(data: bytes, protocol: str) -> None:
    check(data, protocol)


@given(st.integers(0, 160), st.binary(min_size=1, max_size=8), st.sampled_from(["tcp", "udp"]))
def test_a_damaged_message_is_read_or_refused(place: int, damage: bytes, protocol: str) -> None:
    body = diag("::1", state=STATES[protocol], attributes=attribute(11, b"\1"))
    whole = message(20, body) + message(DONE, bytes(4))
    place %= len(whole)
    check(whole[:place] + damage + whole[place + len(damage) :], protocol)


def check(data: bytes, protocol: str) -> None:
    """Whatever comes: records whose fields make sense, or the one error."""
    try:
        batch = parse_batch(data, SEQUENCE, protocol, {})
    except SockDiagError:
        return
    for record in batch.sockets.values():
        assert 1 <= record.port <= 65535
        listener = to_listener(record)
        assert listener.address
        assert listener.protocol == protocol


# ---- the filter of events


@dataclass(frozen=True)
class Event:
    """What the kernel tells of a destroyed socket."""

    protocol: str
    port: int
    peer: int = 0
    peer_address: bytes = bytes(16)

    def message(self) -> bytes:
        body = diag(port=self.port, peer=self.peer, state=7)
        body = body[:24] + self.peer_address + body[40:]
        return message(20, body + attribute(10, bytes([NUMBERS[self.protocol]])), flags=0)


def keeps(program: bytes, data: bytes) -> bool:
    """Run a classic BPF program (socket(7), linux/filter.h) as the kernel does."""
    steps = list(FILTER_STEP.iter_unpack(program))
    place = loaded = 0
    while True:
        code, yes, no, operand = steps[place]
        place += 1
        if code in LOADS:
            size = LOADS[code]
            loaded = int.from_bytes(data[operand : operand + size], "big")
        elif code in JUMPS:
            place += yes if JUMPS[code](loaded, operand) else no
        else:
            assert code == RETURN
            return bool(operand)


LOADS = {0x20: 4, 0x28: 2, 0x30: 1}
JUMPS: dict[int, Callable[[int, int], bool]] = {0x15: operator.eq, 0x35: operator.ge}
RETURN = 0x06

EPHEMERAL = range(32768, 61000)


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (Event("tcp", 8000), True),
        (Event("tcp", 40000), True),
        (Event("tcp", 40000, peer=80), False),
        (Event("tcp", 0), False),
        (Event("tcp", 40000, peer_address=bytes([127, 0, 0, 1]).ljust(16, bytes(1))), False),
        (Event("tcp", 40000, peer_address=bytes(15) + bytes([1])), False),
        (Event("udp", 5000, peer_address=bytes(15) + bytes([1])), True),
        (Event("udp", 5000), True),
        (Event("udp", 32767), True),
        (Event("udp", 32768), False),
        (Event("udp", 60999), False),
        (Event("udp", 61000), True),
        (Event("udp", 65535), True),
        (Event("udp", 5000, peer=53), False),
        (Event("udp", 0), False),
    ],
)
def test_events_that_cannot_be_about_a_listener_are_dropped(event: Event, kept: bool) -> None:
    assert keeps(events_filter(EPHEMERAL, ()), event.message()) is kept


def test_the_end_of_a_listener_on_an_ephemeral_port_is_kept() -> None:
    program = events_filter(EPHEMERAL, {40000, 50000})
    kept = [port for port in EPHEMERAL if keeps(program, Event("udp", port).message())]
    assert kept == [40000, 50000]
    assert not keeps(program, Event("udp", 40000, peer=53).message())


def test_without_ephemeral_ports_every_socket_without_a_peer_is_kept() -> None:
    program = events_filter(range(0), ())
    for port in (1, 40000, 65535):
        assert keeps(program, Event("udp", port).message())
    assert not keeps(program, Event("udp", 40000, peer=53).message())


def test_a_filter_takes_as_many_ports_as_its_jumps_reach() -> None:
    ports = EPHEMERAL[::7]
    program = events_filter(EPHEMERAL, ports)
    kept = [port for port in EPHEMERAL if keeps(program, Event("udp", port).message())]
    assert kept == list(ports[:MOST_PORTS_IN_FILTER])
    assert len(program) // FILTER_STEP.size < 256
    assert keeps(program, Event("tcp", 40000).message())


# ---- the kernel's range of ports


def test_the_range_of_ports_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    setting = tmp_path / "ip_local_port_range"
    setting.write_text("20000\t20009\n")
    assert ephemeral_ports(str(setting)) == range(20000, 20010)


@pytest.mark.parametrize("text", ["", "20000", "1 2 3", "a b", None])
def test_a_range_that_cannot_be_read_is_the_default(tmp_path: Path, text: str | None) -> None:
    setting = tmp_path / "ip_local_port_range"
    if text is not None:
        setting.write_text(text)
    assert ephemeral_ports(str(setting)) == range(32768, 61000)


# ---- dumps of several reads


class Scripted(SockDiag):
    """Dumps as told, each by the names of sockets; `parts` says if they took several reads."""

    def __init__(self, *dumps: str, parts: bool) -> None:
        super().__init__()
        self.dumps = list(dumps)
        self._parts = parts

    def _dump_all(self, protocols: Sequence[str] = PROTOCOLS) -> dict[bytes, ListeningSocket]:
        assert protocols == PROTOCOLS
        self._took_parts = self._parts
        names = self.dumps.pop(0).encode()
        return {names[at : at + 1]: numbered(names[at]) for at in range(len(names))}


def numbered(cookie: int) -> ListeningSocket:
    address = bytes([127, 0, 0, 1])
    return ListeningSocket("tcp", socket.AF_INET, address, 1, 0, cookie, 0, cookie, False, 0)


@pytest.mark.parametrize(
    ("dumps", "parts", "seen"),
    [
        (("ab", "b", "ab"), True, "ab"),
        (("ab", "b", "b"), True, "b"),
        (("ab", "b", "c"), True, "b"),
        (("ab", "ab"), True, "ab"),
        (("ab", "abc"), True, "abc"),
        (("ab", "b"), False, "b"),
    ],
    ids=["overlooked", "gone", "one closed, one is new", "all there", "a new one", "one read"],
)
def test_what_was_there_and_is_missing_from_a_long_dump_is_looked_for_once_more(
    dumps: tuple[str, ...], parts: bool, seen: str
) -> None:
    scripted = Scripted(*dumps, parts=parts)
    try:
        scripted.listeners()
        assert sorted(chr(each.cookie) for each in scripted.listeners()) == list(seen)
        assert not scripted.dumps
    finally:
        scripted.close()
