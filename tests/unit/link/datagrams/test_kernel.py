"""Many datagrams in one call: the same as `recvmsg` gives one at a time."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest

from link.datagrams.kernel import (
    BATCH,
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_RECVPKTINFO,
    NAME_SIZE,
    SLOT_SIZE,
    SOL_UDP,
    UDP_GRO,
    Batch,
    Slots,
    segment_option,
)
from link.datagrams.sockets import MOST_SEGMENTS
from tests.arrival import await_datagrams, await_news

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES = pytest.mark.parametrize("family", HOSTS, ids=["IPv4", "IPv6"])
ROOMS = 16
HEADER = struct.Struct("@Nii")


class Message(NamedTuple):
    """What one datagram came with: payload, sender, and control messages (level, type, data)."""

    payload: bytes
    sender: tuple[str, int]
    controls: list[tuple[int, int, bytes]]


@contextlib.contextmanager
def receiver(family: int) -> Iterator[socket.socket]:
    """A bound socket that merges, and tells which address was spoken to."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        sock.bind((HOSTS[socket.AddressFamily(family)], 0))
        sock.setblocking(False)
        yield sock


@contextlib.contextmanager
def senders(family: int, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(count)]


def by_recvmsg(sock: socket.socket, expected: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < expected:
        await_news(sock)
        payload, controls, _, sender = sock.recvmsg(1 << 16, CONTROL_SIZE)
        messages.append(Message(payload, sender[:2], controls))
    assert not is_left(sock)
    return messages


def is_left(sock: socket.socket) -> bool:
    """True if there is another message."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


def by_batch(batch: Batch, sock: socket.socket, expected: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < expected:
        await_news(sock)
        count = batch.receive(sock.fileno())
        lengths = batch.control_lengths[:count].tolist()
        for i, (size, length) in enumerate(zip(taken(batch, count), lengths, strict=True)):
            name = bytes(batch.names[i * NAME_SIZE : (i + 1) * NAME_SIZE])
            controls = bytes(batch.controls[i * CONTROL_SIZE : i * CONTROL_SIZE + length])
            payload = bytes(batch.views[i][:size])
            messages.append(Message(payload, read_name(name), read_controls(controls)))
    assert not is_left(sock)
    return messages


def taken(batch: Batch, count: int) -> list[int]:
    """The sizes of the messages of the last call."""
    return batch.sizes[:count].tolist()


def read_name(name: bytes) -> tuple[str, int]:
    """Address and port of a sockaddr_in or sockaddr_in6 (linux/in.h, linux/in6.h)."""
    (family,) = struct.unpack_from("=H", name)
    (port,) = struct.unpack_from("!H", name, 2)
    packed = name[4:8] if family == socket.AF_INET else name[8:24]
    return socket.inet_ntop(family, packed), port


def read_controls(data: bytes) -> list[tuple[int, int, bytes]]:
    """Control messages, each padded to whole words (cmsg(3))."""
    messages = []
    while data:
        length, level, kind = HEADER.unpack_from(data)
        messages.append((level, kind, data[HEADER.size : length]))
        data = data[-(-length // 8) * 8 :]
    return messages


@FAMILIES
def test_a_batch_gives_what_recvmsg_gives(family: int) -> None:
    with receiver(family) as one, receiver(family) as other, senders(family, 5) as clients:
        for number in range(150):
            payload = bytes([number]) * (number * 7 % 400)
            client = clients[number % 3 and number % 5]
            client.sendto(payload, one.getsockname())
            client.sendto(payload, other.getsockname())
        expected = by_recvmsg(one, 150)
        assert by_batch(Batch(Slots(), with_peers=True), other, 150) == expected


@FAMILIES
def test_a_train_of_the_kernel_comes_in_one_piece_with_its_segment(family: int) -> None:
    with receiver(family) as one, receiver(family) as other, senders(family, 1) as (client,):
        for sock in (one, other):
            client.sendto(b"before", sock.getsockname())
            client.sendmsg(
                (bytes(10 * MOST_SEGMENTS - 3),), [segment_option(10)], 0, sock.getsockname()
            )
            client.sendto(b"after", sock.getsockname())
        expected = by_recvmsg(one, 3)
        assert [len(message.payload) for message in expected] == [6, 10 * MOST_SEGMENTS - 3, 5]
        assert (SOL_UDP, UDP_GRO, struct.pack("=i", 10)) in expected[1].controls
        assert by_batch(Batch(Slots(), with_peers=True), other, 3) == expected


@FAMILIES
def test_empty_and_largest_datagrams_come_whole(family: int) -> None:
    largest = bytes(range(256)) * 256
    with receiver(family) as sock, senders(family, 1) as (client,):
        client.connect(sock.getsockname())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for size in (0, 1, 65507, 0):
            client.send(largest[:size])
        batch = Batch(Slots(), with_peers=True)
        assert [message.payload for message in by_batch(batch, sock, 4)] == [
            b"",
            largest[:1],
            largest[:65507],
            b"",
        ]


def test_more_than_a_batch_comes_in_several_calls_and_then_nothing() -> None:
    with receiver(socket.AF_INET) as sock, senders(socket.AF_INET, 1) as (client,):
        for _ in range(BATCH + 3):
            client.sendto(b"x", sock.getsockname())
        await_datagrams(sock, BATCH + 3)
        batch = Batch(Slots(), with_peers=True)
        for count in (BATCH, 3):
            assert batch.receive(sock.fileno()) == count
            assert taken(batch, count) == [1] * count
        assert batch.receive(sock.fileno()) == 0
        client.sendto(b"yz", sock.getsockname())
        await_datagrams(sock)
        assert batch.receive(sock.fileno()) == 1
        assert taken(batch, 1) == [2]


@FAMILIES
def test_one_batch_serves_sockets_of_a_family_in_turn(family: int) -> None:
    batch = Batch(Slots(), with_peers=True)
    with (
        receiver(family) as one,
        receiver(family) as other,
        senders(family, 2) as clients,
    ):
        for client, sock in zip(clients, (one, other), strict=True):
            client.connect(sock.getsockname())
        for client, sock in [(clients[0], one), (clients[1], other)] * 3:
            batch.names[:] = b"\xee" * len(batch.names)  # what is not written shows
            for count in (1, 3):
                for _ in range(count):
                    client.send(b"hello")
                messages = by_batch(batch, sock, count)
                assert [message.sender for message in messages] == [
                    client.getsockname()[:2]
                ] * count
                assert all(len(each.controls) == 1 for each in messages)


def test_a_connected_socket_needs_no_names_and_control_messages_tell_of_merging_only() -> None:
    with receiver(socket.AF_INET) as server, senders(socket.AF_INET, 1) as (client,):
        client.setsockopt(SOL_UDP, UDP_GRO, 1)
        client.connect(server.getsockname())
        client.setblocking(False)
        batch = Batch(Slots(), with_peers=False)
        server.sendto(b"plain", client.getsockname())
        server.sendmsg((b"abcdefgh",), [segment_option(3)], 0, client.getsockname())
        await_datagrams(client, 2)
        assert batch.receive(client.fileno()) == 2
        assert taken(batch, 2) == [5, 8]
        plain, merged = batch.control_lengths[:2].tolist()
        assert (plain, merged) == (0, HEADER.size + 8)
        assert bytes(batch.names) == bytes(len(batch.names))
        controls = bytes(batch.controls[CONTROL_SIZE : CONTROL_SIZE + merged])
        assert read_controls(controls) == [(SOL_UDP, UDP_GRO, struct.pack("=i", 3))]


def test_room_for_payloads_takes_no_memory_until_it_is_filled() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    rooms = [Slots() for _ in range(ROOMS)]
    grown = process.memory_info().rss - before
    assert grown < ROOMS * BATCH * SLOT_SIZE // 4
    assert all(bytes(room.views[-1][-3:]) == bytes(3) for room in rooms)


def test_payloads_may_share_memory_between_batches() -> None:
    slots = Slots()
    with receiver(socket.AF_INET) as sock, senders(socket.AF_INET, 1) as (client,):
        for batch in (Batch(slots, with_peers=True), Batch(slots, with_peers=False)):
            client.sendto(b"shared", sock.getsockname())
            await_datagrams(sock)
            assert batch.receive(sock.fileno()) == 1
            assert bytes(batch.first[: batch.sizes[0]]) == b"shared"
            slots.views[0][:6] = bytes(6)


def test_the_fate_of_an_earlier_datagram_is_raised_once_and_the_batch_lives() -> None:
    with receiver(socket.AF_INET) as server, senders(socket.AF_INET, 1) as (client,):
        address = server.getsockname()
        client.connect(address)
        batch = Batch(Slots(), with_peers=False)
        server.close()
        client.send(b"to nobody")
        await_news(client)
        with pytest.raises(ConnectionRefusedError) as raised:
            batch.receive(client.fileno())
        assert raised.value.errno == errno.ECONNREFUSED
        assert batch.receive(client.fileno()) == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(address)
            again.sendto(b"now", client.getsockname())
            await_datagrams(client)
            assert batch.receive(client.fileno()) == 1
            assert bytes(batch.first[:3]) == b"now"


def test_a_descriptor_that_is_no_socket_is_an_error() -> None:
    with pytest.raises(OSError, match=r"Bad file descriptor"):
        Batch(Slots(), with_peers=True).receive(-1)
