"""Reading sock_diag messages: pure, so without a kernel."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.listener import Container
from link.processes import Process
from link.sockdiag import ListeningSocket, SockDiagError, dump_request, parse_batch, to_listener

SEQUENCE = 7
DONE, ERROR = 3, 2


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
) -> bytes:
    """The body of a socket, as struct inet_diag_msg lays it out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address).ljust(16, b"\0")
    identity = struct.pack("=2s2x16s16xI", port.to_bytes(2, "big"), source, 3)
    identity += struct.pack("=II", cookie & 0xFFFFFFFF, cookie >> 32)
    rest = struct.pack("=IIIII", 0, 0, 0, 1000, 4242)
    return struct.pack("=BBBB", family, state, 0, 0) + identity + rest + attributes


def read(data: bytes) -> list[ListeningSocket]:
    return list(parse_batch(data, SEQUENCE, {}).sockets.values())


def test_a_request_has_the_kernel_filter_by_state() -> None:
    request = dump_request(socket.AF_INET6, 9)
    length, kind, flags, sequence, port = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags, sequence, port) == (72, 20, 0x301, 9, 0)
    assert struct.unpack_from("=BBBxI", request, 16) == (10, 6, 0, 1 << 10)


def test_a_socket_is_read_with_all_its_fields() -> None:
    extra = attribute(8, b"\3") + attribute(21, struct.pack("=Q", 1 << 33 | 17))
    assert read(message(20, diag(attributes=extra))) == [
        ListeningSocket(
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


@pytest.mark.parametrize(("flag", "v6only"), [(b"\0", False), (b"\1", True)])
def test_the_wildcard_is_dual_stack_unless_it_is_v6only(flag: bytes, v6only: bool) -> None:
    (record,) = read(message(20, diag("::", attributes=attribute(11, flag))))
    listener = to_listener(record)
    assert (listener.v6only, listener.is_dual_stack) == (v6only, not v6only)


@pytest.mark.parametrize("address", ["::1", "0.0.0.0", "127.0.0.1"])
def test_only_the_ipv6_wildcard_takes_ipv4_peers(address: str) -> None:
    (record,) = read(message(20, diag(address)))
    assert to_listener(record).v6only


def test_a_mapped_address_is_the_ipv4_address_it_stands_for() -> None:
    (record,) = read(message(20, diag("::ffff:127.0.0.2")))
    assert to_listener(record).address == "127.0.0.2"


def test_a_listener_carries_who_it_belongs_to() -> None:
    (record,) = read(message(20, diag()))
    container = Container("c" * 64, "web", "docker")
    listener = to_listener(record, container, Process(12, "nginx"))
    assert (listener.container, listener.process, listener.pid) == (container, "nginx", 12)
    assert (listener.id, listener.inode, listener.protocol) == (record.cookie, 4242, "tcp")


def test_a_process_that_is_gone_has_no_name() -> None:
    (record,) = read(message(20, diag()))
    assert to_listener(record, None, Process(12, "")).process is None


def test_the_end_of_a_dump_is_told() -> None:
    batch = parse_batch(message(20, diag()) + message(DONE, struct.pack("=i", 0)), SEQUENCE, {})
    assert batch.finished
    assert len(batch.sockets) == 1
    assert not parse_batch(message(20, diag()), SEQUENCE, {}).finished


def test_an_answer_to_another_request_is_left_out() -> None:
    stale = message(20, diag(port=1), sequence=6) + message(DONE, b"", sequence=6)
    batch = parse_batch(stale + message(20, diag(port=2)), SEQUENCE, {})
    assert [each.port for each in batch.sockets.values()] == [2]
    assert not batch.finished


def test_a_known_socket_is_not_read_again() -> None:
    data = message(20, diag())
    known = parse_batch(data, SEQUENCE, {}).sockets
    (again,) = parse_batch(data, SEQUENCE, known).sockets.values()
    assert again is next(iter(known.values()))


def test_a_known_cookie_on_another_port_is_read_again() -> None:
    known = parse_batch(message(20, diag(port=1)), SEQUENCE, {}).sockets
    (again,) = parse_batch(message(20, diag(port=2)), SEQUENCE, known).sockets.values()
    assert again.port == 2


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_an_error_of_the_kernel_keeps_its_number(kind: int) -> None:
    with pytest.raises(SockDiagError) as caught:
        read(message(kind, struct.pack("=i", -errno.EBUSY)))
    assert caught.value.errno == errno.EBUSY


def test_a_kernel_without_tcp_diag_is_named() -> None:
    with pytest.raises(SockDiagError, match="CONFIG_INET_TCP_DIAG"):
        read(message(ERROR, struct.pack("=i", -errno.ENOENT)))


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


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@given(st.integers(0, 160), st.binary(min_size=1, max_size=8))
def test_a_damaged_message_is_read_or_refused(place: int, damage: bytes) -> None:
    whole = message(20, diag("::1", attributes=attribute(11, b"\1"))) + message(DONE, bytes(4))
    place %= len(whole)
    check(whole[:place] + damage + whole[place + len(damage) :])


def check(data: bytes) -> None:
    """Whatever comes: records whose fields make sense, or the one error."""
    try:
        batch = parse_batch(data, SEQUENCE, {})
    except SockDiagError:
        return
    for record in batch.sockets.values():
        assert 0 <= record.port <= 65535
        assert to_listener(record).address
