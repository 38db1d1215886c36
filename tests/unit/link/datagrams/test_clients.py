"""Keys and clients, from the bytes that a real kernel writes."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from link.datagrams.clients import Client, Layout, merged_segment, told_segment
from link.datagrams.kernel import (
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_PKTINFO,
    IPV6_RECVPKTINFO,
    SOL_UDP,
    UDP_GRO,
    Batch,
    Slots,
    segment_option,
)
from tests.arrival import await_datagrams
from tests.private_network import private_network
from tests.unit.link.datagrams.loopback import add_address, family_of, speaker

FAMILIES = pytest.mark.parametrize(
    ("wildcard", "spoken_to"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.4.5.6"),
        ("::1", "::1"),
        ("::", "::1"),
    ],
)


class Mirror:
    """A socket as a mirror has it, and the keys of what comes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.port = sock.getsockname()[1]
        self.layout = Layout(sock.family)
        self.batch = Batch(Slots(), with_peers=True)

    def keys(self, expected: int = 1) -> list[bytes]:
        """The keys of everything that has come, once it is so many."""
        await_datagrams(self.sock, expected)
        count = self.batch.receive(self.sock.fileno())
        lengths = self.batch.control_lengths[:count].tolist()
        return [
            self.layout.key(self.batch.names, self.batch.controls, i, length)
            for i, length in enumerate(lengths)
        ]

    def told_key(self) -> bytes:
        """The key of the one datagram that has come, of what Python tells of it."""
        _, controls, _, name = self.sock.recvmsg(100, CONTROL_SIZE)
        return self.layout.key_of(name, controls)

    def client(self) -> Client:
        """Who sent the one datagram that has come."""
        (key,) = self.keys()
        return self.layout.client(key)


@contextlib.contextmanager
def mirror(address: str) -> Iterator[Mirror]:
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
        sock.bind((address, 0))
        yield Mirror(sock)


@FAMILIES
def test_a_client_has_the_address_it_sent_from_and_the_one_it_spoke_to(
    wildcard: str, spoken_to: str
) -> None:
    with mirror(wildcard) as here, speaker((spoken_to, here.port)) as sock:
        sock.send(b"hello")
        client = here.client()
        assert client.address == sock.getsockname()
        assert client.local == spoken_to


@FAMILIES
def test_a_reply_with_a_clients_control_leaves_from_the_address_it_spoke_to(
    wildcard: str, spoken_to: str
) -> None:
    with mirror(wildcard) as here, speaker((spoken_to, here.port)) as sock:
        sock.send(b"hello")
        client = here.client()
        here.sock.sendmsg((b"reply",), client.control, 0, client.address)
        assert sock.recv(100) == b"reply", "a connected socket takes replies of its peer only"


@FAMILIES
def test_a_client_has_one_key_however_its_datagrams_are_taken(
    wildcard: str, spoken_to: str
) -> None:
    with mirror(wildcard) as here, speaker((spoken_to, here.port)) as sock:
        sock.send(b"hello")
        sock.send(b"again")
        told = here.told_key()
        assert [told] == here.keys()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_so_it_has_where_the_socket_has_but_one_address(address: str) -> None:
    with mirror(address) as here, speaker((address, here.port)) as sock:
        here.layout = Layout(here.sock.family, address)
        sock.send(b"hello")
        assert here.layout.client(here.told_key()).address == sock.getsockname()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_of_a_merged_train_the_segment_is_told(address: str) -> None:
    with mirror(address) as here, speaker((address, here.port)) as sock:
        for payload, options in ((b"plain", []), (bytes(250), [segment_option(100)])):
            sock.sendmsg((payload,), options)
        told = [here.sock.recvmsg(1000, CONTROL_SIZE) for _ in range(2)]
        assert [told_segment(controls) for _, controls, _, _ in told] == [0, 100]
        assert here.layout.key_of(told[0][3], told[0][1]) == here.layout.key_of(
            told[1][3], told[1][1]
        )


def test_a_client_that_speaks_to_two_addresses_has_two_keys() -> None:
    with mirror("0.0.0.0") as here, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
            sock.sendto(b"hello", (address, here.port))
        one, two, three = here.keys(3)
        assert one == three
        assert one != two


def test_clients_that_differ_in_port_or_address_have_different_keys() -> None:
    with mirror("127.0.0.1") as here, contextlib.ExitStack() as stack:
        first = stack.enter_context(speaker(("127.0.0.1", here.port)))
        names = [("127.0.0.1", 0), ("127.0.0.3", first.getsockname()[1])]
        for sock in [first, *(stack.enter_context(bound(name)) for name in names)]:
            sock.sendto(b"hello", ("127.0.0.1", here.port))
        keys = here.keys(3)
        assert len(keys) == len(set(keys)) == 3


def bound(name: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(name)
    return sock


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_merged_train_has_the_key_of_its_client_and_its_segment(address: str) -> None:
    with mirror(address) as here, speaker((address, here.port)) as sock:
        sock.send(b"plain")
        sock.sendmsg((bytes(250),), [segment_option(100)])
        sock.send(b"plain")
        plain, train, again = here.keys(3)
        assert plain == train == again
        lengths = here.batch.control_lengths[:3].tolist()
        assert lengths[0] == lengths[2] == here.layout.plain_size < lengths[1] <= CONTROL_SIZE
        segments = [merged_segment(here.batch.controls, i) for i in range(3)]
        assert segments == [0, 100, 0]


@private_network
def test_a_link_local_client_keeps_its_scope() -> None:
    add_address("fe80::1")
    scope = socket.if_nametoindex("lo")
    with mirror("::") as here, speaker(("fe80::1", here.port, 0, scope)) as sock:
        sock.send(b"hello")
        sock.send(b"hello")
        told = here.told_key()
        client = here.client()
        assert here.layout.client(told).address == client.address
        assert client.address == ("fe80::1", sock.getsockname()[1], 0, scope)
        assert client.local == "fe80::1"
        here.sock.sendmsg((b"reply",), client.control, 0, client.address)
        assert sock.recv(100) == b"reply"


def test_a_client_of_a_multicast_address_is_answered_from_where_the_kernel_chooses() -> None:
    name = struct.pack("=H", socket.AF_INET6) + struct.pack("!H", 4000) + bytes(24)
    ours = socket.inet_pton(socket.AF_INET6, "ff02::fb")
    client = Layout(socket.AF_INET6).client(name + ours)
    assert (client.control, client.local) == ([], "ff02::fb")


def test_the_layout_of_a_key_is_that_of_its_description() -> None:
    key = struct.pack("=H", socket.AF_INET) + bytes.fromhex("1f90 7f000002 7f000003")
    client = Layout(socket.AF_INET).client(key)
    assert (client.address, client.local) == (("127.0.0.2", 8080), "127.0.0.3")
    info = bytes.fromhex("00000000 7f000003 00000000")  # in_pktinfo (ip(7))
    assert client.control == [(socket.IPPROTO_IP, IP_PKTINFO, info)]
    key = struct.pack("=H", socket.AF_INET6) + bytes.fromhex("1f90 00000000")
    key += socket.inet_pton(socket.AF_INET6, "fe80::2") + struct.pack("=I", 7)
    key += socket.inet_pton(socket.AF_INET6, "fe80::3")
    client = Layout(socket.AF_INET6).client(key)
    assert (client.address, client.local) == (("fe80::2", 8080, 0, 7), "fe80::3")
    info = socket.inet_pton(socket.AF_INET6, "fe80::3") + bytes(4)  # in6_pktinfo (ipv6(7))
    assert client.control == [(socket.IPPROTO_IPV6, IPV6_PKTINFO, info)]
