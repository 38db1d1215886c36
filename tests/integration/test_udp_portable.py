"""The UDP code for every platform, on this computer's side, with a real engine: the same answers
from the same addresses. Its own tests are in `tests/contract`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.integration import typed, udp
from tests.integration.other_host import other_host
from tests.integration.samehost import PATIENCE, Samehost, quiet_ports, running_samehost, until
from tests.integration.servers import UDP_CLIENT, UDP_ECHO, UDP_TELLER


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """Up, on, with the image loaded, and with the setting `udpPath`."""
    with running_samehost(udpPath="portable") as samehost:
        yield samehost


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return quiet_ports(1)


def wait_for_mirrors(samehost: Samehost, port: int, count: int, origin: str = "machine") -> None:
    until(lambda: samehost.states(port, origin) == ["active"] * count, f"udp {port}")


def test_datagrams_of_every_size_pass_whole(samehost: Samehost, port: int) -> None:
    with samehost.python(UDP_ECHO, "0.0.0.0", str(port)):
        wait_for_mirrors(samehost, port, 1)
        with udp.client("127.0.0.1", port) as client:
            for size in (0, 1, 1472, 9000, 65_507):
                data = os.urandom(size)
                assert udp.ask(client, data) == data


def test_clients_elsewhere_are_answered_by_the_address_they_asked(
    samehost: Samehost, port: int
) -> None:
    with other_host() as elsewhere, samehost.python(UDP_ECHO, "::", str(port), "dual"):
        wait_for_mirrors(samehost, port, 2)
        for address in elsewhere.addresses:
            with elsewhere.socket(udp.family_of(address), socket.SOCK_DGRAM) as client:
                client.settimeout(PATIENCE)
                client.connect((address, port))
                assert udp.ask(client, address.encode()) == address.encode()


def test_two_clients_have_two_ports_at_the_server(samehost: Samehost, port: int) -> None:
    with samehost.python(UDP_TELLER, "127.0.0.1", str(port)):
        wait_for_mirrors(samehost, port, 1)
        with udp.client("127.0.0.1", port) as one, udp.client("127.0.0.1", port) as two:
            ports = {
                (client, udp.ask(client, b"hello").split()[0])
                for _ in range(10)
                for client in (one, two)
            }
        assert len(ports) == len({heard for _client, heard in ports}) == 2


def test_a_container_is_answered_and_netcat_here_keeps_its_conversation(
    samehost: Samehost, port: int
) -> None:
    with udp.teller("127.0.0.1", port):
        wait_for_mirrors(samehost, port, 1, "host")
        first, second = udp.in_container(
            samehost, UDP_CLIENT, "127.0.0.1", str(port), "5", "hello", "again"
        )
    assert (first.split()[1], second.split()[1]) == ("hello", "again")
    until(lambda: samehost.rows(port, "host") == [], "the row to go")
    with typed.here("nc", "-lu", "127.0.0.1", str(port)) as server:
        wait_for_mirrors(samehost, port, 1, "host")
        words = ["one", "two", "three"]
        asking = typed.inside(samehost, "nc", "nc", "-u", "127.0.0.1", str(port))
        with asking as client:
            for word in words:
                client.types(word)
                assert server.shows() == word
                wait_for_mirrors(samehost, port, 1, "host")
