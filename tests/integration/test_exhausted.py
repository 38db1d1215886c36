"""Memory or ports that have run out, on either side: who comes is refused at once, who is there
stays, a person is told once, and it is over by itself."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.engines import Inside
from tests.integration.injured import (
    echo,
    echoing,
    fill,
    is_served,
    little_memory,
    mirrored,
)
from tests.integration.samehost import PATIENCE, Samehost, quiet_ports, running_samehost, until
from tests.integration.servers import CROWD_ECHO
from tests.integration.test_several_machines import serving
from tests.private_network import private_network

FIRST = 10_000
"""Where a test has a network to itself."""
OLD = 3
MOST_CLIENTS = 200
MOST_FLOWS = 5000
LITTLE = 1 << 20
"""Bytes: less than flows leave to the rest."""
FEW_PORTS = "40000 40019"
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

Shortage = Callable[[Samehost], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def no_memory(process: int) -> Iterator[None]:
    """A process gets no more than a little (setrlimit(2), RLIMIT_AS)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
    before = resource.prlimit(process, resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + LITTLE
    resource.prlimit(process, resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_AS, before)


def no_memory_here(samehost: Samehost) -> contextlib.AbstractContextManager[None]:
    return no_memory(samehost.daemon())


def no_memory_there(samehost: Samehost) -> contextlib.AbstractContextManager[None]:
    return no_memory(samehost.agent())


@contextlib.contextmanager
def no_ports_there(samehost: Samehost) -> Iterator[None]:
    """The machine's kernel has few ports to choose from (ip(7))."""
    inside = Inside(samehost)
    before = inside.run("cat", str(PORT_RANGE))
    inside.sh('echo "$1" > "$2"', FEW_PORTS, str(PORT_RANGE))
    try:
        yield
    finally:
        inside.sh('echo "$1" > "$2"', before, str(PORT_RANGE))


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """One that runs."""
    with running_samehost() as samehost:
        yield samehost


@pytest.mark.parametrize(
    ("shortage", "words"),
    [
        (no_memory_here, "memory is short for Samehost"),
        (no_memory_there, "memory is short in sandbox"),
        (no_ports_there, "no port is free in sandbox"),
    ],
)
def test_who_comes_is_reset_who_is_there_stays_a_person_is_told_once_and_it_heals(
    samehost: Samehost, shortage: Shortage, words: str
) -> None:
    port = quiet_ports(1)
    lost = samehost.status()["counters"]["links_lost"]
    with mirrored(samehost, CROWD_ECHO, port), contextlib.ExitStack() as stack:
        old = [stack.enter_context(echoing(port)) for _ in range(OLD)]
        running = samehost.daemon(), samehost.agent()
        with shortage(samehost), contextlib.ExitStack() as clients:
            for _ in range(OLD):
                fill(port, clients)
                assert [echo(client, b"still here") for client in old] == [b"still here"] * OLD
            until(lambda: told(samehost, words), "it to be told")
            assert len(told(samehost, words)) == 1
            assert samehost.run("status").count(f"Trouble          {words}") == 1
            assert samehost.states(port) == ["active"]
        until(lambda: is_served(port), "new connections to be served again")
        assert [echo(client, b"and now") for client in old] == [b"and now"] * OLD
        assert (samehost.daemon(), samehost.agent()) == running
        assert samehost.status()["counters"]["links_lost"] == lost
        assert samehost.run("logs").count(f"WARNING desktop.daemon.troubles: {words}") == 1


def told(samehost: Samehost, words: str) -> list[str]:
    """The troubles that begin so."""
    return [line for line in samehost.status()["troubles"] if line.startswith(words)]


def test_an_agent_that_the_kernel_ends_for_want_of_memory_is_replaced_and_its_mirrors_return(
    samehost: Samehost,
) -> None:
    """Where more memory was promised than there is."""
    port = quiet_ports(1)
    with mirrored(samehost, CROWD_ECHO, port):
        agent = samehost.agent()
        with contextlib.ExitStack() as clients, little_memory(agent, LITTLE):
            for _ in range(MOST_FLOWS):
                if samehost.agent_if_any() != agent:
                    break
                with contextlib.suppress(OSError, AssertionError):
                    clients.enter_context(echoing(port))
        until(lambda: samehost.agent_if_any() not in (None, agent), "another agent")
        until(lambda: samehost.states(port) == ["active"] and is_served(port), "the mirror")


@private_network
def test_without_ports_on_this_computer_containers_are_reset_and_a_person_is_told() -> None:
    """In a network of its own, as the range of ports is the network's."""
    with running_samehost() as samehost, contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", FIRST), backlog=100))
        stack.enter_context(serving(server, b"hello"))
        until(lambda: samehost.states(FIRST, "host") == ["active"], "the port in the machine")
        inside = stack.enter_context(samehost.puppet("inside"))
        assert inside.hears("tcp", "127.0.0.1", FIRST) == "hello"
        with no_ports_here():
            assert inside.hears("tcp", "127.0.0.1", FIRST) == "ECONNRESET"
            until(lambda: told(samehost, "no port is free on this computer"), "it to be told")
        assert inside.hears("tcp", "127.0.0.1", FIRST) == "hello"


@contextlib.contextmanager
def no_ports_here() -> Iterator[None]:
    """All that the kernel may choose from are taken by somebody's connections."""
    before = PORT_RANGE.read_text()
    PORT_RANGE.write_text(FEW_PORTS)
    try:
        with contextlib.ExitStack() as taken:
            with contextlib.suppress(OSError):  # EADDRNOTAVAIL, once there are no more
                for _ in range(MOST_CLIENTS):
                    taken.enter_context(socket.create_connection(("127.0.0.1", FIRST), PATIENCE))
            yield
    finally:
        PORT_RANGE.write_text(before)
