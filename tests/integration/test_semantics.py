"""Every address means what it means on Linux: the table of what is mirrored where, with a real
container, TCP and UDP, both ways.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.conftest import require_root
from tests.integration.puppet import ANSWER_SECONDS, Puppet, program
from tests.integration.samehost import quiet_ports, until
from tests.integration.servers import HEIR
from tests.integration.stage import Stage, Table, hears, open_stage, refuses
from tests.promptness import promptly

PROTOCOLS = ("tcp", "udp")
DUAL = "::, dual"
"""Stands for `::` with IPV6_V6ONLY off."""

MAPPED = "::ffff:127.0.0.1"
"""What a program that knows IPv6 sockets only binds for IPv4's loopback (RFC 4291, 2.5.5.2)."""

NO_ANSWERS = ("ECONNREFUSED", "ECONNRESET", "ETIMEDOUT")
"""What a client meets while a mirror is away or goes."""

SOON = 1.0
"""Seconds of which more would not be at once."""

MATURITY_SECONDS = 1.0
"""How long a UDP socket on a port of the kernel's choice must have lived (DESIGN 3)."""

REST_SECONDS = 1.0
"""Within this time it has been seen: no event tells of it, so the clock does."""

both_protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One for all tests of this module, which leave no listener behind."""
    require_root()
    with open_stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def other(stage: Stage) -> Iterator[Puppet]:
    """Another host-networked container."""
    with stage.samehost.puppet("other") as puppet:
        yield puppet


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Puppet]:
    """Another program of this computer."""
    puppet = Puppet(program(), dict(os.environ))
    yield puppet
    puppet.end()


@pytest.fixture(scope="module")
def bridged(stage: Stage) -> Iterator[Puppet]:
    """A container with a network of its own."""
    with stage.samehost.puppet("bridged", network="bridge") as puppet:
        yield puppet


@pytest.fixture
def port() -> int:
    """The first of two ports that nobody listens on."""
    return quiet_ports(2)


def place(address: str) -> dict[str, str | bool]:
    """The words for `Puppet.open` for an address of the table."""
    return {
        "address": "::" if address == DUAL else address,
        "dual": address in (DUAL, MAPPED),
    }


# Containers' listeners on this computer.


@both_protocols
@pytest.mark.parametrize(
    ("address", "mirrors", "answers", "silent"),
    [
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2", "::1", "here"]),
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.2"], ["127.0.0.1", "::1", "here"]),
        (MAPPED, ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2", "::1", "here"]),
        ("::1", ["::1"], ["::1"], ["127.0.0.1", "here"]),
        ("0.0.0.0", ["0.0.0.0"], ["127.0.0.1", "127.0.0.2", "here"], ["::1"]),
        ("::", ["::"], ["::1"], ["127.0.0.1", "here"]),
        (DUAL, ["0.0.0.0", "::"], ["127.0.0.1", "here", "::1"], []),
    ],
)
def test_a_containers_listener_is_open_where_it_would_be_on_linux(
    stage: Stage,
    port: int,
    protocol: str,
    address: str,
    mirrors: list[str],
    answers: list[str],
    silent: list[str],
) -> None:
    def addresses(names: list[str]) -> list[str]:
        return [stage.addresses[1] if name == "here" else name for name in names]

    with stage.inside.serving(protocol, port=port, words="it is me", **place(address)):  # type: ignore[arg-type]
        stage.table.until(lambda: stage.table.mirrors(protocol, port) == mirrors, "the mirrors")
        for where in addresses(answers):
            assert hears(protocol, where, port) == "it is me", where
        for where in addresses(silent):
            assert refuses(protocol, where, port), where
    stage.table.until(lambda: not stage.table.rows(protocol, port), "the rows to go")
    assert all(refuses(protocol, where, port) for where in addresses(answers))


@both_protocols
@pytest.mark.parametrize(("wide", "narrow"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
def test_what_listens_on_loopback_is_not_open_to_the_network_by_anothers_wildcard(
    stage: Stage, other: Puppet, port: int, protocol: str, wide: str, narrow: str
) -> None:
    def is_open_on(address: str) -> bool:
        return stage.table.mirrors(protocol, port) == [address]

    with stage.inside.serving(protocol, wide, port, "for all", reuse_port=True):
        stage.table.until(lambda: is_open_on(wide), "the wildcard's mirror")
        with other.serving(protocol, narrow, port, "for loopback", reuse_port=True):
            stage.table.until(lambda: is_open_on(narrow), "that of loopback")
            assert hears(protocol, narrow, port) == "for loopback"
            assert refuses(protocol, stage.addresses[1], port)
        stage.table.until(lambda: is_open_on(wide), "the wildcard's mirror again")
        assert hears(protocol, narrow, port) == "for all"


@both_protocols
def test_a_listener_on_the_machines_own_address_is_ignored_and_says_why(
    stage: Stage, port: int, protocol: str
) -> None:
    machine, _here = stage.addresses
    with stage.inside.serving(protocol, machine, port):
        stage.table.until(lambda: stage.table.states(protocol, port) == ["ignored"], "the row")
        assert machine in stage.table.rows(protocol, port)[0]["reason"]
        assert refuses(protocol, "127.0.0.1", port)
    stage.table.until(lambda: not stage.table.rows(protocol, port), "the row to go")


@both_protocols
def test_a_listener_whose_parent_died_is_still_mirrored_and_named(
    stage: Stage, port: int, protocol: str
) -> None:
    with stage.samehost.python(HEIR, protocol, str(port)) as container:
        stage.table.until(lambda: stage.table.mirrors(protocol, port), "the mirror")
        assert hears(protocol, "127.0.0.1", port) == "the parent's"
        assert hears(protocol, "127.0.0.1", port) == "the heir's"
        # By then the machine has been looked at again.
        with stage.inside.serving(protocol, "127.0.0.1", port + 1):
            stage.table.until(lambda: stage.table.mirrors(protocol, port + 1), "a later mirror")
        assert hears(protocol, "127.0.0.1", port) == "the heir's"
        (row,) = stage.table.rows(protocol, port)
        assert row["container"]["id"] == container
        assert row["process"] in ("parent", "heir")


def test_connections_live_on_when_their_listener_closes(stage: Stage, port: int) -> None:
    with stage.inside.serving("tcp", "0.0.0.0", port, "") as server:
        stage.table.until(lambda: stage.table.mirrors("tcp", port), "the mirror")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"one")
            assert client.recv(10) == b"one"
            server.close()
            stage.table.until(lambda: not stage.table.rows("tcp", port), "the mirror to go")
            assert refuses("tcp", "127.0.0.1", port)
            client.sendall(b"two")
            assert client.recv(10) == b"two"
            client.shutdown(socket.SHUT_WR)
            assert client.recv(10) == b""


# This computer's listeners in the machine.


@both_protocols
@pytest.mark.parametrize(
    ("address", "stubs"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        (MAPPED, ["127.0.0.1"]),
        ("0.0.0.0", ["127.0.0.1"]),
        ("::", ["::1"]),
        (DUAL, ["127.0.0.1", "::1"]),
    ],
)
def test_a_listener_of_this_computer_is_open_on_the_machines_loopback_and_nowhere_else(
    stage: Stage, bridged: Puppet, port: int, protocol: str, address: str, stubs: list[str]
) -> None:
    machine, _here = stage.addresses
    gateway = stage.samehost.docker(
        "inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "bridged"
    )
    with stage.here.serving(protocol, port=port, words="desktop", **place(address)):  # type: ignore[arg-type]
        stage.table.until(lambda: stage.table.mirrors(protocol, port, "host") == stubs, "the stubs")
        for there in ("127.0.0.1", "::1"):
            heard = stage.inside.hears(protocol, there, port)
            assert heard == ("desktop" if there in stubs else "ECONNREFUSED"), there
        for puppet, there in [
            (stage.inside, "127.0.0.2"),
            (stage.inside, machine),
            (stage.inside, gateway),
            (bridged, machine),
            (bridged, gateway),
            (bridged, "127.0.0.1"),
            (stage.here, machine),
        ]:
            assert puppet.hears(protocol, there, port) in NO_ANSWERS, there
        # These addresses are within reach, if only something listens there.
        for puppet, there in [(bridged, machine), (bridged, gateway), (stage.here, machine)]:
            with stage.inside.serving(protocol, there, port + 1):
                assert puppet.hears(protocol, there, port + 1) == "hello"
    stage.table.until(lambda: not stage.table.rows(protocol, port, "host"), "the stubs to go")
    until(lambda: stage.inside.hears(protocol, stubs[0], port) == "ECONNREFUSED", "them to go")


@both_protocols
@pytest.mark.parametrize("address", ["127.0.0.2", "towards the machine"])
def test_a_listener_of_this_computer_on_another_address_is_not_mirrored(
    stage: Stage, port: int, protocol: str, address: str
) -> None:
    where = stage.addresses[1] if address == "towards the machine" else address
    with stage.here.serving(protocol, where, port):
        # By the time the other has its stub, both have been seen.
        with stage.here.serving(protocol, "127.0.0.1", port + 1):
            stage.table.until(lambda: stage.table.mirrors(protocol, port + 1, "host"), "a stub")
        assert stage.table.rows(protocol, port, "host") == []
        for there in ("127.0.0.1", "127.0.0.2", "::1"):
            assert stage.inside.hears(protocol, there, port) == "ECONNREFUSED"


# Either way.


@dataclass(frozen=True)
class Way:
    """One direction: servers on the side of the origin, clients on the other.

    Attributes:
        servers: two processes; in the machine, two containers.
        names: of these containers; None where there are none.
    """

    origin: str
    table: Table
    servers: tuple[Puppet, Puppet]
    names: tuple[str | None, str | None]
    clients: Puppet

    def mirror_of(self, address: str) -> str:
        """Where a listener's mirror stands."""
        if self.origin == "machine":
            return address
        return "::1" if ":" in address else "127.0.0.1"

    def mirrors(self, protocol: str, port: int) -> list[str]:
        return self.table.mirrors(protocol, port, self.origin)

    def rows(self, protocol: str, port: int) -> list[dict[str, Any]]:
        return self.table.rows(protocol, port, self.origin)

    def hears(
        self,
        protocol: str,
        port: int,
        address: str = "127.0.0.1",
        patience: float = ANSWER_SECONDS,
    ) -> str:
        """What a client on the other side hears, or the name of its error."""
        return self.clients.hears(protocol, address, port, patience)


@pytest.fixture(params=["machine", "host"])
def way(request: pytest.FixtureRequest, stage: Stage, other: Puppet, neighbour: Puppet) -> Way:
    """Both directions, one after the other."""
    if request.param == "machine":
        pair, names = (stage.inside, other), ("inside", "other")
        return Way("machine", stage.table, pair, names, stage.here)
    return Way("host", stage.table, (stage.here, neighbour), (None, None), stage.inside)


@both_protocols
@pytest.mark.parametrize(("ipv4", "ipv6"), [("0.0.0.0", "::"), ("127.0.0.1", "::1")])
def test_each_family_of_a_port_reaches_its_own_process(
    way: Way, port: int, protocol: str, ipv4: str, ipv6: str
) -> None:
    first, second = way.servers
    places = [way.mirror_of(ipv4), way.mirror_of(ipv6)]
    with (
        first.serving(protocol, ipv4, port, "IPv4"),
        second.serving(protocol, ipv6, port, "IPv6") as closed,
    ):
        way.table.until(lambda: way.mirrors(protocol, port) == places, "both mirrors")
        assert way.hears(protocol, port, "127.0.0.1") == "IPv4"
        assert way.hears(protocol, port, "::1") == "IPv6"
        families = [":" in row["machine_address"] for row in way.rows(protocol, port)]
        containers = [row["container"] for row in way.rows(protocol, port)]
        names = [container and container["name"] for container in containers]
        assert sorted(zip(families, names, strict=True)) == list(
            zip((False, True), way.names, strict=True)
        )
        closed.close()
        way.table.until(lambda: way.mirrors(protocol, port) == places[:1], "IPv4's alone")
        assert way.hears(protocol, port, "127.0.0.1") == "IPv4"
        until(lambda: way.hears(protocol, port, "::1") == "ECONNREFUSED", "IPv6's to go")


@both_protocols
def test_a_mirror_of_several_listeners_stays_until_the_last_one_goes(
    way: Way, port: int, protocol: str
) -> None:
    first, second = way.servers
    group = [
        puppet.open(protocol, "0.0.0.0", port, "one of us", reuse_port=True)
        for puppet in (first, second, first)
    ]
    place = [way.mirror_of("0.0.0.0")]
    way.table.until(lambda: way.mirrors(protocol, port) == place, "the mirror")
    opened = way.rows(protocol, port)[0]["since"]
    last = group.pop()
    for server in group:
        assert way.hears(protocol, port) == "one of us"
        server.close()
    # By the time that another has a mirror, it is known what was closed before.
    with first.serving(protocol, "127.0.0.1", port + 1):
        way.table.until(lambda: way.mirrors(protocol, port + 1), "a later mirror")
    assert way.hears(protocol, port) == "one of us"
    assert [row["since"] for row in way.rows(protocol, port)] == [opened]
    last.close()
    way.table.until(lambda: not way.rows(protocol, port), "the mirror to go")


@pytest.mark.parametrize(("first", "second"), [("tcp", "udp"), ("udp", "tcp")])
def test_tcp_and_udp_of_one_number_are_independent(
    way: Way, port: int, first: str, second: str
) -> None:
    with (
        way.servers[0].serving(first, "127.0.0.1", port, first) as closed,
        way.servers[1].serving(second, "0.0.0.0", port, second),
    ):
        for protocol in PROTOCOLS:
            way.table.until(lambda p=protocol: way.mirrors(p, port), protocol)  # type: ignore[misc]
            assert way.hears(protocol, port) == protocol
        closed.close()
        way.table.until(lambda: not way.rows(first, port), "the first to go")
        until(lambda: way.hears(first, port) == "ECONNREFUSED", "its mirror to go")
        assert way.hears(second, port) == second


@pytest.mark.parametrize("unbound", [False, True], ids=["port 0", "listen without bind"])
def test_a_tcp_port_of_the_kernels_choice_is_mirrored_at_once(way: Way, unbound: bool) -> None:
    def mirrored_after() -> float:
        asked = time.time()
        with way.servers[0].serving("tcp", "0.0.0.0", 0, "chosen", unbound=unbound) as server:
            way.table.until(lambda: way.mirrors("tcp", server.port), "the mirror")
            since = float(way.rows("tcp", server.port)[0]["since"])
            assert way.hears("tcp", server.port) == "chosen"
        return since - asked

    promptly(mirrored_after, MATURITY_SECONDS)


def test_a_udp_port_of_the_kernels_choice_is_mirrored_after_a_second(way: Way) -> None:
    def mirrored_after() -> float:
        asked = time.time()
        with way.servers[0].serving("udp", "0.0.0.0", 0, "chosen") as server:
            bound = time.time()
            way.table.until(lambda: way.mirrors("udp", server.port), "the mirror")
            since = float(way.rows("udp", server.port)[0]["since"])
            assert since - asked >= MATURITY_SECONDS
            assert way.hears("udp", server.port) == "chosen"
        way.table.until(lambda: not way.rows("udp", server.port), "the mirror to go")
        return since - bound

    promptly(mirrored_after, MATURITY_SECONDS + REST_SECONDS)


@both_protocols
def test_a_hundred_times_closed_and_bound_again_the_new_content_is_served_at_once(
    way: Way, port: int, protocol: str
) -> None:
    def answer() -> str:
        heard = way.hears(protocol, port, patience=0.2)
        return "" if heard in NO_ANSWERS else heard

    took: list[float] = []
    for turn in range(100):
        with way.servers[0].serving(protocol, "0.0.0.0", port, str(turn)):
            # While the mirror is away there is no answer, but never an old one.
            began = time.monotonic()
            assert until(answer, f"turn {turn}") == str(turn)
            took.append(time.monotonic() - began)
    assert statistics.median(took) < SOON
    way.table.until(lambda: not way.rows(protocol, port), "the mirror to go")


def test_a_client_that_keeps_its_socket_hears_whoever_serves_now(stage: Stage, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        client.connect(("127.0.0.1", port))

        def answer() -> str:
            try:
                client.send(b"")
                return client.recv(100).decode()
            except (ConnectionRefusedError, TimeoutError):
                return ""

        took: list[float] = []
        for turn in range(20):
            with stage.inside.serving("udp", "0.0.0.0", port, str(turn)):
                began = time.monotonic()
                until(lambda t=turn: answer() == str(t), f"turn {turn}")  # type: ignore[misc]
                took.append(time.monotonic() - began)
        assert statistics.median(took) < SOON
