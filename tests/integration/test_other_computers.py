"""Another computer on the network: which mirrors it reaches, and that there is nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.integration.conftest import require_root
from tests.integration.other_host import OtherHost, other_host
from tests.integration.samehost import (
    PATIENCE,
    Samehost,
    free_port,
    ports_of,
    running_samehost,
    until,
)
from tests.integration.servers import GREETER


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    with running_samehost() as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[OtherHost]:
    require_root()
    with other_host() as host:
        yield host


def heard(elsewhere: OtherHost, address: str, port: int) -> bytes | None:
    """What a client of the other computer is told; None if nobody is there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with elsewhere.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect((address, port))
        except ConnectionRefusedError:
            return None
        return client.recv(100)


def is_active(samehost: Samehost, port: int) -> bool:
    states = samehost.states(port)
    return bool(states) and set(states) == {"active"}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_network_does_not_reach_a_mirror_of_loopback(
    samehost: Samehost, elsewhere: OtherHost, address: str
) -> None:
    port = free_port()
    with samehost.python(GREETER, address, str(port), "v6only", "hello"):
        until(lambda: is_active(samehost, port), "the mirror")
        assert [heard(elsewhere, each, port) for each in elsewhere.addresses] == [None] * 4


def test_the_network_reaches_a_mirror_of_all_addresses_until_the_person_says_localhost(
    samehost: Samehost, elsewhere: OtherHost
) -> None:
    port = free_port()
    with samehost.python(GREETER, "::", str(port), "dual", "hello"):
        until(lambda: is_active(samehost, port), "the mirrors")
        assert [heard(elsewhere, each, port) for each in elsewhere.addresses] == [b"hello"] * 4
        samehost.run("settings", "set", "portBinding", "localhost")
        try:
            places = {"127.0.0.1", "::1"}
            until(
                lambda: (
                    {r["host_address"] for r in samehost.rows(port)} == places
                    and is_active(samehost, port)
                ),
                "mirrors on loopback only",
            )
            assert [heard(elsewhere, each, port) for each in elsewhere.addresses] == [None] * 4
        finally:
            samehost.run("settings", "set", "portBinding", "as-bound")


def test_the_daemon_listens_on_no_port_but_those_of_mirrors(samehost: Samehost) -> None:
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
        until(lambda: is_active(samehost, port), "the mirror")
        mirrors = {
            (row["protocol"], row["host_address"], row["host_port"])
            for row in samehost.ports()
            if row["origin"] == "machine" and row["state"] == "active"
        }
        assert ports_of(samehost.daemon()) == mirrors
