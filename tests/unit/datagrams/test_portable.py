"""The portable UDP path: what is its own, beyond the contract of all."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Sequence

import pytest

from desktop.datagrams import portable
from desktop.datagrams.portable import EARLY_TRAINS, PortableDatagramSockets
from link.datagrams.sockets import Listening, Train
from tests.capabilities import LINUX_KERNEL, needs
from tests.loopback_addresses import add_addresses, remove_address
from tests.private_network import private_network
from tests.unit.datagrams.worlds import LOOPS, plain, run
from tests.until import until

PORT = 4000


on_every_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the addresses often, so that tests need not wait."""
    monkeypatch.setattr(portable, "ADDRESS_SECONDS", 0.01)


class Mirror:
    """A wildcard mirror that remembers what came."""

    def __init__(self, sockets: PortableDatagramSockets, address: str = "0.0.0.0") -> None:
        self.trains: list[Train] = []
        self.listening: Listening = sockets.listen(address, PORT, self._take)

    def _take(self, trains: Sequence[Train]) -> None:
        self.trains += trains

    def answer(self, data: bytes) -> int:
        """Answer the last client; the number not sent."""
        peer = self.listening.peer(self.trains[-1].key)
        return self.listening.send(peer, memoryview(data), len(data))


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[PortableDatagramSockets]:
    sockets = PortableDatagramSockets()
    try:
        yield sockets
    finally:
        sockets.close()


def is_served(address: str) -> bool:
    """True if the port is bound there: a second socket cannot be."""
    try:
        plain(address, PORT).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


@on_every_loop
@private_network
@pytest.mark.parametrize(
    ("everywhere", "address"), [("0.0.0.0", "10.99.0.9/32"), ("::", "fd99::9/128")]
)
def test_an_address_that_comes_is_served_and_one_that_goes_is_not(
    loop: str, everywhere: str, address: str
) -> None:
    bare = address.split("/")[0]

    async def story() -> None:
        async with opened() as sockets:
            mirror = Mirror(sockets, everywhere)
            assert len(mirror.listening.inodes) == 1
            add_addresses(address)
            await until(lambda: is_served(bare))
            assert len(mirror.listening.inodes) == 2
            with plain(bare) as client:
                client.sendto(b"?", (bare, PORT))
                await until(lambda: bool(mirror.trains))
                assert mirror.answer(b"!") == 0
                assert client.recvfrom(9)[1][:2] == (bare, PORT)
            remove_address(address)
            await until(lambda: len(mirror.listening.inodes) == 1)
            assert mirror.answer(b"too late") == 1
            mirror.listening.close()

    run(loop, story())


@on_every_loop
@private_network
def test_an_address_that_cannot_be_bound_is_said_once_and_tried_again(
    loop: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["127.0.0.1", "10.99.0.9"]
    looks = 0

    def look(_family: int) -> list[str]:
        nonlocal looks
        looks += 1
        return list(addresses)

    async def until_looked() -> None:
        before = looks
        await until(lambda: looks > before)

    monkeypatch.setattr(portable, "local_addresses", look)

    def complaints() -> list[str]:
        return [each.message for each in caplog.records if each.levelno >= logging.WARNING]

    async def story() -> None:
        async with opened() as sockets:
            mirror = Mirror(sockets)
            await until_looked()
            assert len(complaints()) == 1
            assert "UDP port 4000 cannot be served on 10.99.0.9" in complaints()[0]
            assert is_served("127.0.0.1")
            addresses.pop()
            await until_looked()
            addresses.append("10.99.0.9")
            await until(lambda: len(complaints()) == 2)
            add_addresses("10.99.0.9/32")
            await until(lambda: is_served("10.99.0.9"))
            mirror.listening.close()

    run(loop, story())


@on_every_loop
@private_network
def test_a_new_address_whose_port_is_taken_heals(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with opened() as sockets:
            add_addresses("10.99.0.9/32")
            mirror = Mirror(sockets)
            remove_address("10.99.0.9/32")
            await until(lambda: len(mirror.listening.inodes) == 1)
            with caplog.at_level(logging.INFO):
                sockets._wildcards.clear()  # so that the other is first
                add_addresses("10.99.0.9/32")
                with plain("10.99.0.9", PORT):
                    sockets._wildcards.add(mirror.listening)  # type: ignore[arg-type]
                    await until(lambda: "Address already in use" in caplog.text)
                await until(lambda: "served on 10.99.0.9 now" in caplog.text)
            mirror.listening.close()

    run(loop, story())


@on_every_loop
@private_network
def test_a_computer_without_an_address_of_the_family_cannot_be_listened_on(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "local_addresses", lambda _family: [])

    async def story() -> None:
        async with opened() as sockets:
            with pytest.raises(OSError, match="no address") as caught:
                Mirror(sockets)
            assert caught.value.errno == errno.EADDRNOTAVAIL

    run(loop, story())


@on_every_loop
@private_network
def test_addresses_that_cannot_be_read_change_nothing(
    loop: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_family: int) -> list[str]:
        raise OSError(errno.EMFILE, "too many open files")

    async def story() -> None:
        async with opened() as sockets:
            mirror = Mirror(sockets)
            monkeypatch.setattr(portable, "local_addresses", refuse)
            await until(lambda: "cannot be read" in caplog.text)
            assert is_served("127.0.0.1")
            mirror.listening.close()

    run(loop, story())


@needs(LINUX_KERNEL)
@on_every_loop
def test_datagrams_wait_for_a_new_socket_but_not_without_bound(loop: str) -> None:
    async def story() -> None:
        with plain("127.0.0.1") as server:
            async with opened() as sockets:
                port = server.getsockname()[1]
                flow = sockets.connect("127.0.0.1", port, lambda _trains: None, lambda: None)
                assert isinstance(flow, portable._Connected)
                for number in range(EARLY_TRAINS):
                    assert flow.send(memoryview(bytes([number])), 1) == 0
                assert flow.send(memoryview(b"1234567"), 3) == 3
                await until(lambda: flow._is_connected)
                assert flow.send(memoryview(b"later"), 5) == 0
                heard = [server.recv(9) for _ in range(EARLY_TRAINS + 1)]
                assert heard == [*(bytes([number]) for number in range(EARLY_TRAINS)), b"later"]
                flow.close()

    run(loop, story())


@needs(LINUX_KERNEL)
@on_every_loop
def test_what_a_stranger_says_before_the_socket_is_connected_is_not_heard(loop: str) -> None:
    async def story() -> None:
        with plain("127.0.0.1") as server, plain("127.0.0.1") as stranger:
            async with opened() as sockets:
                heard: list[Train] = []
                port = server.getsockname()[1]
                flow = sockets.connect("127.0.0.1", port, heard.extend, lambda: None)
                assert isinstance(flow, portable._Connected)
                client = flow._sock.getsockname()
                stranger.sendto(b"from a stranger", client)
                flow.send(memoryview(b"?"), 1)
                await until(lambda: flow._is_connected)
                assert server.recvfrom(9) == (b"?", client)
                server.sendto(b"!", client)
                await until(lambda: bool(heard))
                assert [bytes(part) for train in heard for part in train.parts] == [b"!"]
                flow.close()

    run(loop, story())


@on_every_loop
def test_a_mirror_counts_what_nobody_took(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop.datagrams.queue.MOST_DATAGRAMS", 3)

    async def story() -> None:
        async with opened() as sockets:
            with plain("127.0.0.1") as server:
                port = server.getsockname()[1]
            taken: list[Train] = []
            listening = sockets.listen("127.0.0.1", port, taken.extend)
            assert isinstance(listening, portable._Listening)
            for number in range(10):
                listening._endpoints["127.0.0.1"]._put(bytes([number]), ("127.0.0.1", 9))
            await until(lambda: bool(taken))
            assert b"".join(bytes(part) for part in taken[0].parts) == bytes([7, 8, 9])
            assert listening.dropped == 7
            listening.close()
            assert listening.dropped == 7

    run(loop, story())
