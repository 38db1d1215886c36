"""All UDP sockets give what `link.datagrams.sockets` promises, on every event loop they may meet.

The other ends are plain sockets. Tests that need addresses, or ports that nobody else takes, run
in a network of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

import pytest
import uvloop

from desktop.datagrams.portable import PortableDatagramSockets
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import ClientKey, Connected, DatagramSockets, Listening, Train
from link.dial import ForbiddenAddressError
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network

MakeSockets = Callable[[], DatagramSockets]
Run = Callable[[Coroutine[Any, Any, None]], None]
IMPLEMENTATIONS: Final[dict[str, MakeSockets]] = {
    "linux": LinuxDatagramSockets,
    "portable": PortableDatagramSockets,
}
LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
PATIENCE: Final = 10.0
SILENCE: Final = 0.2
"""Seconds for which nothing comes where nothing may come."""
LOOPBACK: Final = ("127.0.0.1", "::1")
ADDRESSES: Final = ("10.99.0.1", "127.0.0.1", "127.0.0.2", "::1", "fd99::1")
"""Those of a private network: listed ones, each of which a wildcard mirror serves."""
FURTHER: Final = ("10.99.0.1/32", "127.0.0.2/8", "fd99::1/128")
"""Those that a private network does not have by itself."""
SIZES: Final = (0, 1, 64, 1472, 9000, 65507)
ROOM: Final = 4 << 20
"""Bytes of socket buffer that a test's own sockets ask for."""


@pytest.fixture(params=IMPLEMENTATIONS)
def make_sockets(request: pytest.FixtureRequest) -> MakeSockets:
    return IMPLEMENTATIONS[request.param]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a story. Fails, too, if a call-back failed, or a task is left when it has ended."""

    def runner(story: Coroutine[Any, Any, None]) -> None:
        failures: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: failures.append(context))
            await asyncio.wait_for(story, 60)
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as one:
            one.run(watched())
        gc.collect()
        assert not failures

    return runner


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


async def turn_the_loop() -> None:
    """Let everything run that is due: descriptors are closed within a few turns."""
    for _ in range(10):
        await asyncio.sleep(0)


# The other ends: plain sockets


def plain(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket that is bound, and never waits."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def client_of(address: str, port: int) -> socket.socket:
    """A connected client: it hears that address and port only."""
    sock = plain("::" if ":" in address else "0.0.0.0")
    sock.connect((address, port))
    return sock


def free_port(address: str = "127.0.0.1") -> int:
    with plain(address) as sock:
        return int(sock.getsockname()[1])


async def receive(sock: socket.socket) -> tuple[bytes, Any]:
    """The next datagram and its sender. Raises what the socket has to say."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(BlockingIOError):
                return sock.recvfrom(1 << 17)
            readable = asyncio.Event()
            loop.add_reader(sock.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(sock.fileno())


async def hears(sock: socket.socket, count: int = 1) -> list[bytes]:
    """The next datagrams of a plain socket."""
    return [(await receive(sock))[0] for _ in range(count)]


# What is tested, and what it hands on


class Inbox:
    """Takes trains as `OnTrains`, copies and cuts them, and checks that they are well formed."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[ClientKey, bytes]] = []
        self.on_train: Callable[[Train, bytes], None] = lambda _train, _data: None

    def __call__(self, trains: Sequence[Train]) -> None:
        assert trains
        for train in trains:
            data = b"".join(train.parts)
            assert len(data) == train.size
            assert (train.segment == 0) == (train.size == 0)
            assert train.segment <= 65_535
            cuts = range(0, train.size, train.segment) if train.segment else [0]
            pieces = [data[start : start + train.segment] for start in cuts]
            assert len(pieces) == train.datagrams
            self.datagrams += [(train.key, piece) for piece in pieces]
            self.on_train(train, data)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.datagrams]

    async def wait(self, count: int = 1) -> list[bytes]:
        """The payloads, when there are so many."""
        await until(lambda: len(self.datagrams) >= count)
        return self.payloads


class Mirror:
    """A Listening socket; what is sent to it is echoed if `echoes`."""

    def __init__(
        self, sockets: DatagramSockets, address: str, port: int = 0, *, echoes: bool = True
    ) -> None:
        self.address = address
        self.port = port or free_port(address)
        self.inbox = Inbox()
        self.unsent = 0
        if echoes:
            self.inbox.on_train = self.echo
        self.listening: Listening = sockets.listen(address, self.port, self.inbox)

    def echo(self, train: Train, data: bytes) -> None:
        self.answer(train.key, data, train.segment)

    def answer(self, key: ClientKey, data: bytes, segment: int) -> None:
        self.unsent += self.listening.send(self.listening.peer(key), memoryview(data), segment)


class Dialled:
    """A Connected socket."""

    def __init__(self, sockets: DatagramSockets, address: str, port: int) -> None:
        self.inbox = Inbox()
        self.refusals = 0
        self.connected: Connected = sockets.connect(address, port, self.inbox, self._refused)

    def _refused(self) -> None:
        self.refusals += 1

    def send(self, data: bytes, segment: int | None = None) -> int:
        return self.connected.send(memoryview(data), len(data) if segment is None else segment)


@contextlib.asynccontextmanager
async def opened(make_sockets: MakeSockets) -> AsyncIterator[DatagramSockets]:
    sockets = make_sockets()
    try:
        yield sockets
    finally:
        sockets.close()
        sockets.close()


@contextlib.asynccontextmanager
async def mirror(
    make_sockets: MakeSockets, address: str = "127.0.0.1", port: int = 0, *, echoes: bool = True
) -> AsyncIterator[Mirror]:
    async with opened(make_sockets) as sockets:
        one = Mirror(sockets, address, port, echoes=echoes)
        try:
            yield one
        finally:
            one.listening.close()


@contextlib.asynccontextmanager
async def dialled(make_sockets: MakeSockets, address: str, port: int) -> AsyncIterator[Dialled]:
    async with opened(make_sockets) as sockets:
        one = Dialled(sockets, address, port)
        try:
            yield one
        finally:
            one.connected.close()


def numbered(count: int, size: int = 64) -> list[bytes]:
    return [number.to_bytes(4, "big").ljust(size, b".") for number in range(count)]


# Datagrams stay what they are


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_datagram_of_any_size_is_echoed_whole(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            with client_of(address, one.port) as client:
                for size in SIZES:
                    sent = os.urandom(size)
                    client.send(sent)
                    assert await hears(client) == [sent]
            assert [len(payload) for payload in one.inbox.payloads] == list(SIZES)
            assert one.unsent == 0

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_datagram_of_any_size_goes_to_the_server_and_comes_back_whole(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        with plain(address) as server:
            async with dialled(make_sockets, address, server.getsockname()[1]) as one:
                for number, size in enumerate(SIZES, 1):
                    sent = os.urandom(size)
                    assert one.send(sent) == 0
                    received, sender = await receive(server)
                    assert received == sent
                    server.sendto(received, sender)
                    assert (await one.inbox.wait(number))[-1] == sent

    run(story())


def test_a_burst_to_a_mirror_arrives_in_order_and_is_not_merged(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                for payload in numbered(500):
                    client.send(payload)
                assert await one.inbox.wait(500) == numbered(500)
                assert await hears(client, 500) == numbered(500)

    run(story())


def test_a_burst_from_a_server_arrives_in_order_and_is_not_merged(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server:
            async with dialled(make_sockets, *server.getsockname()) as one:
                one.send(b"go")
                _, sender = await receive(server)
                for payload in numbered(500):
                    server.sendto(payload, sender)
                assert await one.inbox.wait(500) == numbered(500)

    run(story())


def test_empty_datagrams_keep_their_place_among_others(make_sockets: MakeSockets, run: Run) -> None:
    payloads = [b"a", b"", b"", b"bb", b"bb", b"c", b"", b"bb"]

    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                for payload in payloads:
                    client.send(payload)
                assert await hears(client, len(payloads)) == payloads

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_interleaved_clients_get_their_own_and_in_order(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    chance = random.Random(20)
    turns = [number for number in range(20) for _ in range(40)]
    chance.shuffle(turns)

    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(client_of(address, one.port)) for _ in range(20)]
                sent: list[list[bytes]] = [[] for _ in clients]
                for number in turns:
                    size = chance.choice([0, 1, 64, 64, 64, 500, 1472, chance.randrange(3000)])
                    payload = bytes([number]) * size
                    sent[number].append(payload)
                    clients[number].send(payload)
                    if chance.random() < 0.1:
                        await asyncio.sleep(0)
                for client, payloads in zip(clients, sent, strict=True):
                    assert await hears(client, len(payloads)) == payloads
                assert len({key for key, _ in one.inbox.datagrams}) == len(clients)

    run(story())


TRAINS: Final = {
    "one": ([b"x" * 77], 77),
    "ten and a short one": ([b"x" * 100] * 10 + [b"y" * 40], 100),
    "the longest": (numbered(64, 1000), 1000),
    "single bytes": ([b"z"] * 64, 1),
    "larger than a usual MTU": (numbered(7, 9000), 9000),
    "empty": ([b""], 0),
}


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("address", LOOPBACK)
def test_a_train_to_a_client_arrives_as_the_datagrams_it_is(
    make_sockets: MakeSockets, run: Run, address: str, train: str
) -> None:
    payloads, segment = TRAINS[train]

    async def story() -> None:
        async with mirror(make_sockets, address, echoes=False) as one:
            with client_of(address, one.port) as client:
                client.send(b"hello")
                await one.inbox.wait()
                one.answer(one.inbox.datagrams[0][0], b"".join(payloads), segment)
                assert await hears(client, len(payloads)) == payloads
                assert one.unsent == 0

    run(story())


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("address", LOOPBACK)
def test_a_train_to_a_server_arrives_as_the_datagrams_it_is(
    make_sockets: MakeSockets, run: Run, address: str, train: str
) -> None:
    payloads, segment = TRAINS[train]

    async def story() -> None:
        with plain(address) as server:
            async with dialled(make_sockets, address, server.getsockname()[1]) as one:
                assert one.send(b"".join(payloads), segment) == 0
                assert await hears(server, len(payloads)) == payloads
                # Once more, as it is sent when the socket has long been there.
                assert one.send(b"".join(payloads), segment) == 0
                assert await hears(server, len(payloads)) == payloads

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_trains_of_two_flows_pass_from_end_to_end_and_back(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, address)
            flows = [Dialled(sockets, address, one.port) for _ in range(2)]
            payloads, segment = TRAINS["ten and a short one"]
            for _ in range(5):
                for number, flow in enumerate(flows):
                    train = bytes([number]) + b"".join(payloads)[1:]
                    assert flow.send(train, segment) == 0
            for number, flow in enumerate(flows):
                expected = [bytes([number]) + payloads[0][1:], *payloads[1:]] * 5
                assert await flow.inbox.wait(len(expected)) == expected
                flow.connected.close()
            one.listening.close()

    run(story())


def test_a_datagram_that_udp_has_no_room_for_is_told_and_hurts_nobody(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, "127.0.0.1")
            flow = Dialled(sockets, "127.0.0.1", one.port)
            flow.send(b"before")
            await flow.inbox.wait()
            assert flow.send(bytes(65_508)) == 1
            one.answer(one.inbox.datagrams[0][0], bytes(65_508), 65_508)
            assert one.unsent == 1
            flow.send(b"after")
            assert await flow.inbox.wait(2) == [b"before", b"after"]
            flow.connected.close()
            one.listening.close()

    run(story())


# Addresses


@private_network
def test_a_reply_leaves_from_the_very_address_that_the_client_addressed(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            four = Mirror(sockets, "0.0.0.0", 4000)
            six = Mirror(sockets, "::", 4000)
            for address in (*ADDRESSES, *ADDRESSES[::-1]):
                with client_of(address, 4000) as client:
                    client.send(address.encode())
                    payload, sender = await receive(client)
                    assert payload == address.encode()
                    assert sender[:2] == (address, 4000)
            assert four.unsent == six.unsent == 0
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
def test_a_link_local_address_is_served_in_its_zone(make_sockets: MakeSockets, run: Run) -> None:
    add_addresses("fe80::1/64")

    async def story() -> None:
        async with mirror(make_sockets, "::", 4000) as one:
            with plain("::") as client:
                client.connect(("fe80::1", 4000, 0, socket.if_nametoindex("lo")))
                client.send(b"near")
                assert await hears(client) == [b"near"]
            assert one.unsent == 0

    run(story())


@private_network
def test_ipv4_and_ipv6_clients_are_told_apart_whoever_came_before(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            four = Mirror(sockets, "10.99.0.1", 4000)
            six = Mirror(sockets, "fd99::1", 4000)
            with plain("10.99.0.1") as one, plain("fd99::1") as other:
                for client, server in ((one, four), (other, six)) * 3:
                    client.sendto(b"?", (server.address, 4000))
                    assert await hears(client) == [b"?"]
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
def test_two_clients_with_one_address_who_addressed_two_of_ours_are_two_flows(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with mirror(make_sockets, "0.0.0.0", 4000) as one:
            with plain("0.0.0.0", 5000) as client:
                for address in ("127.0.0.1", "127.0.0.2"):
                    client.sendto(address.encode(), (address, 4000))
                    assert await receive(client) == (address.encode(), (address, 4000))
            assert len({key for key, _ in one.inbox.datagrams}) == 2

    run(story())


@private_network
def test_an_ipv6_wildcard_takes_no_ipv4(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            six = Mirror(sockets, "::", 4000)
            await turn_the_loop()
            with client_of("127.0.0.1", 4000) as client:
                client.send(b"?")
                with pytest.raises(ConnectionRefusedError):
                    await receive(client)
            four = Mirror(sockets, "0.0.0.0", 4000)
            with client_of("127.0.0.1", 4000) as client, client_of("::1", 4000) as other:
                client.send(b"4")
                other.send(b"6")
                assert await hears(client) == [b"4"]
                assert await hears(other) == [b"6"]
            assert (four.inbox.payloads, six.inbox.payloads) == ([b"4"], [b"6"])
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::", "::"),
        ("0.0.0.0", "127.0.0.2"),
        ("127.0.0.2", "0.0.0.0"),
        ("fd99::1", "::"),
    ],
)
def test_a_port_that_is_taken_cannot_be_bound_and_nothing_of_the_attempt_stays(
    make_sockets: MakeSockets, run: Run, first: str, second: str
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, first, 4000)
            await turn_the_loop()
            with pytest.raises(OSError, match="in use") as caught:
                Mirror(sockets, second, 4000)
            assert caught.value.errno == errno.EADDRINUSE
            one.listening.close()
            with plain(first, 4000):
                pass
            with plain(second, 4000):
                pass

    run(story())


def test_nobody_gets_a_share_of_a_port_for_the_asking(make_sockets: MakeSockets, run: Run) -> None:
    """The loop underneath may have asked for that: libuv does."""

    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"served")
                await hears(client)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    thief.bind(("127.0.0.1", one.port))

    run(story())


@pytest.mark.parametrize("address", ["192.0.2.1", "0.0.0.0", "fe80::1", "::", "255.255.255.255"])
def test_only_loopback_is_ever_connected_to(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            before = descriptors()
            with pytest.raises(ForbiddenAddressError):
                Dialled(sockets, address, 53)
            assert descriptors() == before

    run(story())


@private_network
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_the_sockets_of_a_mirror_are_known_by_their_inodes(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address, 4000) as one:
            assert one.listening.inodes
            await turn_the_loop()
            assert one.listening.inodes <= {os.stat(path).st_ino for path in open_sockets()}

    run(story())


def open_sockets() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{name}"
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(path).startswith("socket:"):
                yield path


# Flows


def test_a_flow_keeps_its_port_and_hears_its_server_only(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server, plain() as stranger:
            async with opened(make_sockets) as sockets:
                flows = [Dialled(sockets, *server.getsockname()) for _ in range(3)]
                ports = []
                for flow in flows * 2:
                    flow.send(b"?")
                    _, sender = await receive(server)
                    ports.append(sender)
                    stranger.sendto(b"from a stranger", sender)
                    server.sendto(str(sender).encode(), sender)
                assert ports[:3] == ports[3:]
                assert len(set(ports)) == 3
                for flow, port in zip(flows, ports, strict=False):
                    assert await flow.inbox.wait(2) == [str(port).encode()] * 2
                    flow.connected.close()

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_server_that_is_not_there_is_told_and_heard_when_it_comes(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        port = free_port(address)
        async with dialled(make_sockets, address, port) as one:
            for number in (1, 2):
                one.send(b"lost")
                await until(lambda number=number: one.refusals >= number)  # type: ignore[misc]
            with plain(address, port) as server:
                assert one.send(b"third") == 0
                payload, sender = await receive(server)
                assert payload == b"third"
                server.sendto(b"here I am", sender)
                assert await one.inbox.wait() == [b"here I am"]

    run(story())


def test_datagrams_sent_together_to_a_server_that_has_just_come_all_arrive(
    make_sockets: MakeSockets, run: Run
) -> None:
    """The news that it was not there is told to a later sending, which is not lost for it."""

    async def story() -> None:
        port = free_port()
        async with dialled(make_sockets, "127.0.0.1", port) as one:
            one.send(b"first")
            await until(lambda: one.refusals > 0)
            one.send(b"lost")
            with plain("127.0.0.1", port) as server:
                for payload in numbered(3):
                    assert one.send(payload) == 0
                assert await hears(server, 3) == numbered(3)
            await until(lambda: one.refusals > 1)

    run(story())


def test_a_client_that_vanished_ends_nothing(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with client_of("127.0.0.1", one.port) as gone:
                gone.send(b"and away")
                await one.inbox.wait()
            key = one.inbox.datagrams[0][0]
            one.inbox.on_train = one.echo
            with client_of("127.0.0.1", one.port) as client:
                for number in range(1, 4):
                    one.answer(key, b"nobody hears this", 5)
                    await turn_the_loop()
                    client.send(b"still there?")
                    assert await hears(client) == [b"still there?"]
                    assert len(one.inbox.datagrams) == 1 + number

    run(story())


def may_send_icmp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6).close()
    except PermissionError:
        return False
    return True


@private_network
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("bound", ["to the address", "to all"])
def test_a_client_that_is_refused_hears_so_from_its_next_call(
    run: Run, address: str, bound: str
) -> None:
    if not may_send_icmp():
        pytest.skip("raw sockets are not allowed here")
    add_addresses(*FURTHER)
    everywhere = "::" if ":" in address else "0.0.0.0"

    async def story() -> None:
        where = address if bound == "to the address" else everywhere
        async with mirror(LinuxDatagramSockets, where, 4000, echoes=False) as one:
            with client_of(address, 4000) as client, client_of(address, 4000) as other:
                client.send(b"anybody?")
                other.send(b"not me")
                await one.inbox.wait(2)
                key = next(key for key, data in one.inbox.datagrams if data == b"anybody?")
                one.listening.refuse(one.listening.peer(key))
                with pytest.raises(ConnectionRefusedError):
                    await receive(client)
                one.inbox.on_train = one.echo
                for each in (client, other):
                    each.send(b"again")
                    assert await hears(each) == [b"again"]

    run(story())


def test_a_refusal_harms_nobody(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with plain() as client:
                client.sendto(b"?", ("127.0.0.1", one.port))
                await one.inbox.wait()
                one.listening.refuse(one.listening.peer(one.inbox.datagrams[0][0]))
                await turn_the_loop()
                one.answer(one.inbox.datagrams[0][0], b"!", 1)
                assert await hears(client) == [b"!"]

    run(story())


# Ends


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


TURNS: Final = {"at once": 0, "while it starts": 1, "when it has started": 10}


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_closing_frees_the_port_at_once(
    make_sockets: MakeSockets, run: Run, address: str, turns: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            for _ in range(TURNS[turns]):
                await asyncio.sleep(0)
            one.listening.close()
            with plain(address, one.port):
                one.listening.close()

    run(story())


@private_network
@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_closing_a_wildcard_frees_the_port_on_every_address_at_once(
    make_sockets: MakeSockets, run: Run, address: str, turns: str
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with mirror(make_sockets, address, 4000) as one:
            for _ in range(TURNS[turns]):
                await asyncio.sleep(0)
            one.listening.close()
            with plain(address, 4000):
                one.listening.close()

    run(story())


@pytest.mark.parametrize("turns", TURNS)
def test_what_is_closed_leaves_no_descriptor(
    make_sockets: MakeSockets, run: Run, turns: str
) -> None:
    async def story() -> None:
        with plain() as server:
            before = descriptors()
            async with opened(make_sockets) as sockets:
                for _ in range(20):
                    one = Mirror(sockets, "127.0.0.1")
                    flow = Dialled(sockets, *server.getsockname())
                    for _ in range(TURNS[turns]):
                        await asyncio.sleep(0)
                    for end in (one.listening, flow.connected):
                        end.close()
                        end.close()
            await until(lambda: descriptors() == before)

    run(story())


def test_closing_all_without_another_turn_of_the_loop_leaves_no_descriptor(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server:
            for turns in TURNS.values():
                async with opened(make_sockets) as sockets:
                    one = Mirror(sockets, "127.0.0.1")
                    flow = Dialled(sockets, *server.getsockname())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    one.listening.close()
                    flow.connected.close()

    async def nothing() -> None:
        """To have the loop's own descriptors opened and closed."""

    run(nothing())
    before = descriptors()
    run(story())
    assert descriptors() == before


def test_nothing_is_handed_on_after_closing(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                one = Mirror(sockets, "127.0.0.1")
                flow = Dialled(sockets, *server.getsockname())
                flow.send(b"?")
                _, sender = await receive(server)
                server.sendto(b"too late", sender)
                with client_of("127.0.0.1", one.port) as client:
                    client.send(b"too late")
                one.listening.close()
                flow.connected.close()
                one.listening.drain()
                flow.connected.drain()
                await asyncio.sleep(SILENCE)
                assert not one.inbox.datagrams
                assert not flow.inbox.datagrams

    run(story())


def test_nothing_more_is_handed_on_when_closed_in_a_call_back(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            calls = 0

            def close_it(_train: Train, _data: bytes) -> None:
                nonlocal calls
                calls += 1
                one.listening.close()

            one.inbox.on_train = close_it
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"end")
                await one.inbox.wait()
                with contextlib.suppress(ConnectionRefusedError):
                    client.send(b"more")
                await asyncio.sleep(SILENCE)
            assert calls == 1

    run(story())


@pytest.mark.parametrize("turns", TURNS)
def test_what_was_sent_before_closing_arrives(
    make_sockets: MakeSockets, run: Run, turns: str
) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                flow = Dialled(sockets, *server.getsockname())
                for _ in range(TURNS[turns]):
                    await asyncio.sleep(0)
                for payload in numbered(5):
                    assert flow.send(payload) == 0
                assert flow.send(b"the last word") == 0
                flow.connected.close()
                assert await hears(server, 6) == [*numbered(5), b"the last word"]

    run(story())


def test_an_answer_given_before_closing_arrives(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"?")
                await one.inbox.wait()
                one.answer(one.inbox.datagrams[0][0], b"bye", 3)
                one.listening.close()
                assert await hears(client) == [b"bye"]

    run(story())


def test_draining_hands_on_at_once_and_in_order(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                one = Mirror(sockets, "127.0.0.1", echoes=False)
                flow = Dialled(sockets, *server.getsockname())
                flow.send(b"?")
                _, sender = await receive(server)
                with client_of("127.0.0.1", one.port) as client:
                    for payload in numbered(40):
                        server.sendto(payload, sender)
                        client.send(payload)
                        if payload == numbered(20)[-1]:
                            await asyncio.sleep(0)
                    for end, inbox in ((one.listening, one.inbox), (flow.connected, flow.inbox)):
                        # The kernel may still be at it; the loop has no turn meanwhile.
                        deadline = time.monotonic() + PATIENCE
                        while len(inbox.datagrams) < 40 and time.monotonic() < deadline:
                            end.drain()
                        assert inbox.payloads == numbered(40)
                one.listening.close()
                flow.connected.close()

    run(story())


def test_a_flood_while_the_loop_is_busy_ends_and_the_mirror_serves_on(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            await turn_the_loop()
            with client_of("127.0.0.1", one.port) as client:
                for payload in numbered(20_000):
                    client.send(payload)
                held: list[bytes] = []

                def is_quiet() -> bool:
                    """True when nothing has come for one look."""
                    nonlocal held
                    before, held = held, one.inbox.payloads
                    return bool(held) and len(before) == len(held)

                while not is_quiet():  # noqa: ASYNC110 - the kernel does not say what it dropped
                    await asyncio.sleep(SILENCE)
                assert held == sorted(held)
                assert len(set(held)) == len(held)
                one.inbox.on_train = one.echo
                client.send(b"and now?")
                assert await hears(client) == [b"and now?"]

    run(story())
