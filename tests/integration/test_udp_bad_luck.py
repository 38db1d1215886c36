"""UDP when something goes: the agent, the link, the daemon, the switch. The socket of a client
that was there before is answered again, and nothing is restarted but what went."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.integration import udp
from tests.integration.samehost import Samehost, quiet_ports, resume, running_samehost, until
from tests.integration.servers import UDP_CLIENT, UDP_ECHO, UDP_STEADY, UDP_TELLER
from tests.promptness import promptly

RECOVERY_SECONDS = 2.0
"""From another agent's start until all is as it was. The grace of a lost link is 5 s."""

SWITCH_SECONDS = 1.0
"""Within this time the switch has closed or opened everything (the README's fraction of a second
is the usual)."""


@pytest.fixture(scope="module")
def running() -> Iterator[Samehost]:
    """Up, on, and with the image loaded; whatever a test kills comes back by itself."""
    with running_samehost() as samehost:
        yield samehost


@pytest.fixture
def samehost(running: Samehost) -> Iterator[Samehost]:
    """The running one, as it was afterwards."""
    yield running
    running.run("up")
    running.run("enable")
    running.run("settings", "set", "reachHost", "true")


@pytest.fixture
def port() -> int:
    """The first of two ports that nobody listens on."""
    return quiet_ports(2)


@contextlib.contextmanager
def steady(samehost: Samehost, port: int) -> Iterator[str]:
    """A container that asks the desktop's UDP server for ever, from one socket; its id."""
    with samehost.python(UDP_STEADY, "127.0.0.1", str(port)) as container:
        yield container


def heard(samehost: Samehost, container: str) -> list[str]:
    """What a steady client has heard so far."""
    return samehost.docker("logs", container).splitlines()


def wait_for_answers(samehost: Samehost, container: str) -> None:
    """Until a steady client hears something new that is an answer."""
    before = len(heard(samehost, container))
    until(
        lambda: any("still here" in line for line in heard(samehost, container)[before:]),
        "an answer to the container",
    )


def test_a_killed_agent_is_replaced_and_both_directions_are_answered_again(
    samehost: Samehost, port: int
) -> None:
    with samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        with udp.teller("127.0.0.1", port + 1), steady(samehost, port + 1) as asking:
            with udp.client("127.0.0.1", port) as client:

                def replaced_after() -> float:
                    before = udp.answer(client, b"before")
                    wait_for_answers(samehost, asking)
                    agent = samehost.agent()
                    os.kill(agent, signal.SIGKILL)
                    until(lambda: samehost.agent() != agent, "another agent")
                    began = time.monotonic()
                    until(lambda: both_states(samehost, port) == ["active"] * 2, "both mirrors")
                    took = time.monotonic() - began
                    after = udp.answer(client, b"after")
                    wait_for_answers(samehost, asking)
                    assert (before.split()[1], after.split()[1]) == (b"before", b"after")
                    return took

                promptly(replaced_after, RECOVERY_SECONDS)


def both_states(samehost: Samehost, port: int) -> list[str]:
    """Those of a container's port, and of the next, which is the desktop's."""
    return [*samehost.states(port), *samehost.states(port + 1, "host")]


def test_a_link_that_was_cut_and_mended_serves_the_sockets_there_were(
    samehost: Samehost, port: int
) -> None:
    """An agent that says nothing for a while, and then goes on where it was."""
    agent = samehost.agent()
    with samehost.python(UDP_TELLER, "0.0.0.0", str(port)):
        with udp.teller("127.0.0.1", port + 1), steady(samehost, port + 1) as asking:
            with udp.client("127.0.0.1", port) as client:
                udp.answer(client, b"before")
                wait_for_answers(samehost, asking)
                os.kill(agent, signal.SIGSTOP)
                try:
                    until(lambda: state(samehost) == "reconnecting", "the loss")
                finally:
                    resume(agent)
                assert udp.answer(client, b"after").endswith(b" after")
                wait_for_answers(samehost, asking)
    assert state(samehost) == "connected"
    assert samehost.agent() == agent


def state(samehost: Samehost) -> str:
    """The machine's, as `samehost status` says it."""
    return str(samehost.status()["machine"]["state"])


def test_a_killed_daemon_leaves_no_udp_port_and_the_next_serves_the_same_sockets(
    samehost: Samehost, port: int
) -> None:
    with samehost.python(UDP_ECHO, "0.0.0.0", str(port)):
        with udp.teller("127.0.0.1", port + 1), steady(samehost, port + 1) as asking:
            with udp.client("127.0.0.1", port) as client:
                udp.answer(client, b"before")
                wait_for_answers(samehost, asking)
                os.kill(samehost.daemon(), signal.SIGKILL)
                until(lambda: udp.refused("127.0.0.1", port), "the port to be free")
                samehost.run("up")
                assert udp.answer(client, b"after") == b"after"
                wait_for_answers(samehost, asking)


def test_disable_closes_udp_mirrors_and_stubs_at_once_and_enable_opens_them(
    samehost: Samehost, port: int
) -> None:
    with samehost.python(UDP_ECHO, "0.0.0.0", str(port)):
        with udp.teller("127.0.0.1", port + 1), steady(samehost, port + 1) as asking:
            with udp.client("127.0.0.1", port) as client:

                def closed_after() -> float:
                    udp.answer(client, b"before")
                    wait_for_answers(samehost, asking)
                    samehost.run("disable")
                    began = time.monotonic()
                    until(lambda: udp.refused("127.0.0.1", port), "the mirror to go")
                    before = len(heard(samehost, asking))
                    until(
                        lambda: "refused" in heard(samehost, asking)[before:],
                        "the stub to go",
                    )
                    took = time.monotonic() - began
                    assert samehost.status()["flows"]["udp"] == 0
                    samehost.run("enable")
                    assert udp.answer(client, b"after") == b"after"
                    wait_for_answers(samehost, asking)
                    return took

                promptly(closed_after, 2 * SWITCH_SECONDS)


def test_reach_host_off_cuts_the_flows_of_containers_and_nothing_else(
    samehost: Samehost, port: int
) -> None:
    with samehost.python(UDP_ECHO, "0.0.0.0", str(port)), udp.client("127.0.0.1", port) as client:
        udp.answer(client, b"before")
        with udp.server("127.0.0.1", port + 1) as server, steady(samehost, port + 1) as asking:

            def cut_after() -> float:
                until(lambda: hears(server), "the container's words")
                before = len(heard(samehost, asking))
                samehost.run("settings", "set", "reachHost", "false")
                last = hears_until_silent(server)
                until(lambda: "refused" in heard(samehost, asking)[before:], "the stub to go")
                assert not hears(server), "the server heard more after it was cut off"
                assert udp.ask(client, b"after") == b"after"
                samehost.run("settings", "set", "reachHost", "true")
                until(lambda: hears(server), "the container's words again")
                return last

            promptly(cut_after, SWITCH_SECONDS)


def hears(server: socket.socket) -> bool:
    """True if a server of this computer hears something within half a second."""
    try:
        return bool(server.recv(100))
    except TimeoutError:
        return False


def hears_until_silent(server: socket.socket) -> float:
    """Read until there is silence; seconds until the last datagram."""
    start = last = time.monotonic()
    while hears(server):
        last = time.monotonic()
        assert last - start < 10, "the server is not cut off"
    return last - start


def test_a_server_and_a_client_that_start_while_the_agent_is_away_are_served(
    samehost: Samehost, port: int
) -> None:
    os.kill(samehost.agent(), signal.SIGKILL)
    with samehost.python(UDP_ECHO, "127.0.0.1", str(port)):
        with udp.client("127.0.0.1", port) as client:
            assert udp.answer(client, b"hello") == b"hello"
    with udp.teller("127.0.0.1", port):
        os.kill(samehost.agent(), signal.SIGKILL)
        until(
            lambda: udp.in_container(
                samehost, UDP_CLIENT, "127.0.0.1", str(port), "1", "hello", "again"
            )[1].endswith(" again"),
            "the desktop's answer",
        )
