"""Five thousand listeners, and a process that may open no more files. Each test has a network to
itself, since it needs ports in their thousands."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time

import pytest

from desktop.daemon.files import RESERVED_FILES
from tests.integration import udp
from tests.integration.injured import echo, echoing, fill, is_served, memory_of, say
from tests.integration.samehost import PATIENCE, Samehost, running_samehost, until
from tests.integration.servers import CROWD_ECHO, ECHO, MIXED, UDP_ECHO
from tests.private_network import private_network

MANY = 5000
FIRST = 10_000
MOST_SECONDS = 30.0
"""Until all mirrors are open: on two cores that others use as well."""
MOST_BYTES = 150 << 20
"""Resident memory of the daemon, and of the agent."""


def descriptors(process: int) -> int:
    """Files that a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


def is_open(protocol: str, address: str, port: int) -> bool:
    """True unless a client on this computer is refused."""
    if protocol == "udp":
        return not udp.refused(address, port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        return client.connect_ex((address, port)) == 0


@private_network
def test_five_thousand_listeners_of_a_container_are_mirrored_and_go_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running_samehost() as samehost:
        before = samehost.status()["ports"]["active"]
        started = time.monotonic()
        with samehost.python(MIXED, str(FIRST), str(MANY)):
            until(
                lambda: samehost.status()["ports"]["active"] == before + MANY,
                "all mirrors",
                MOST_SECONDS,
            )
            opened = time.monotonic() - started
            rows = [row for row in samehost.ports() if row["host_port"] >= FIRST]
            memory = {who: memory_of(pid) for who, pid in processes(samehost).items()}
            for port in (FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + MANY - 1):
                assert is_open(protocol_of(port), "127.0.0.1", port)
        going = time.monotonic()
        until(lambda: samehost.status()["ports"]["active"] == before, "all to go", MOST_SECONDS)
        gone = time.monotonic() - going
        assert samehost.ports() == [row for row in samehost.ports() if row["host_port"] < FIRST]
        for port in (FIRST, FIRST + 1, FIRST + MANY - 1):
            assert not is_open(protocol_of(port), "127.0.0.1", port)
    assert sorted(row["host_port"] for row in rows) == list(range(FIRST, FIRST + MANY))
    assert all(row["protocol"] == protocol_of(row["host_port"]) for row in rows)
    assert all(row["host_address"] == address_of(row["host_port"]) for row in rows)
    say(capsys, f"{MANY} mirrors: open after {opened:.1f} s, gone after {gone:.1f} s, {memory}")
    assert all(size < MOST_BYTES for size in memory.values())


def processes(samehost: Samehost) -> dict[str, int]:
    return {"daemon": samehost.daemon(), "agent": samehost.agent()}


def protocol_of(port: int) -> str:
    """As MIXED has it."""
    return ("tcp", "udp")[(port - FIRST) % 2]


def address_of(port: int) -> str:
    """As MIXED has it."""
    return ("127.0.0.1", "0.0.0.0")[(port - FIRST) // 2 % 2]


FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
SILENT = min(10_000, FILES[1] * 2 // 5)
"""Ten thousand, or as many as the limit of files bears: two for each flow, and some to spare."""
AT_ONCE = 1000
MOST_BYTES_A_SILENT_FLOW = 16 << 10
"""Resident memory of the daemon, and of the agent, for a flow that says nothing."""


@private_network
def test_thousands_of_clients_that_say_nothing_cost_little_and_hinder_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running_samehost() as samehost, contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES[1], FILES[1]))
        stack.enter_context(samehost.python(CROWD_ECHO, str(FIRST)))
        until(lambda: samehost.states(FIRST) == ["active"], "the mirror")
        slow = stack.enter_context(echoing(FIRST))
        before = {who: memory_of(pid) for who, pid in processes(samehost).items()}
        for number in range(1, SILENT + 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", FIRST), timeout=PATIENCE))
            if number % AT_ONCE == 0:  # more would wait for streams until their time is over
                until(lambda: flows(samehost) > number, "flows", MOST_SECONDS)  # noqa: B023
        started = time.monotonic()
        assert is_served(FIRST)
        assert echo(slow, b"?") == b"?"
        took = time.monotonic() - started
        after = {who: memory_of(pid) for who, pid in processes(samehost).items()}
        grown = {who: (after[who] - before[who]) // SILENT for who in after}
        say(capsys, f"{SILENT} silent flows: {grown} bytes each; another one's turn {took:.3f} s")
        assert all(size < MOST_BYTES_A_SILENT_FLOW for size in grown.values())
        stack.close()
        until(lambda: flows(samehost) == 0, "all to go", MOST_SECONDS)


def flows(samehost: Samehost) -> int:
    """TCP flows through all mirrors."""
    return int(samehost.status()["flows"]["tcp"])


class Short:
    """A process that may open few files more; `give_back` lets it have what it had."""

    def __init__(self, process: int, more: int) -> None:
        self._process = process
        self._before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        resource.prlimit(
            process, resource.RLIMIT_NOFILE, (descriptors(process) + more, self._before[1])
        )

    def give_back(self) -> None:
        """End the shortage."""
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._process, resource.RLIMIT_NOFILE, self._before)


@pytest.mark.parametrize(("who", "more"), [("daemon", RESERVED_FILES + 20), ("agent", 10)])
@private_network
def test_without_files_new_connections_are_reset_old_flows_live_and_it_heals(
    who: str, more: int
) -> None:
    with running_samehost() as samehost, contextlib.ExitStack() as stack:
        tcp, datagrams = FIRST, FIRST + 1
        stack.enter_context(samehost.python(ECHO, str(tcp)))
        stack.enter_context(samehost.python(UDP_ECHO, "0.0.0.0", str(datagrams)))
        until(lambda: samehost.states(tcp) == samehost.states(datagrams) == ["active"], "mirrors")
        asking = stack.enter_context(udp.client("127.0.0.1", datagrams))
        assert udp.ask(asking, b"before") == b"before"
        old = [stack.enter_context(echoing(tcp)) for _ in range(3)]
        short = Short(processes(samehost)[who], more)
        stack.callback(short.give_back)
        with contextlib.ExitStack() as clients:
            # A refused one may give up a file, so that the next is served.
            for turn in range(5):
                fill(tcp, clients)
                assert all(echo(client, b"?") == b"?" for client in old)
                assert udp.ask(asking, b"%d" % turn) == b"%d" % turn
            answers_a_person = samehost.try_run("status").returncode == 0
            short.give_back()
            (told,) = until(lambda: samehost.status()["troubles"], "it to be told")
            assert told.startswith("too many files are open")
        until(lambda: is_served(tcp), "new connections to be served again")
        assert answers_a_person, "`samehost status` said that the daemon does not run"
        assert samehost.status()["machine"]["state"] == "connected"
        assert samehost.states(tcp) == samehost.states(datagrams) == ["active"]


@private_network
def test_a_mirror_for_which_there_is_no_file_says_so_and_opens_once_there_is() -> None:
    with running_samehost() as samehost, contextlib.ExitStack() as stack:
        short = Short(samehost.daemon(), RESERVED_FILES + 20)
        stack.callback(short.give_back)
        with samehost.python(MIXED, str(FIRST), "100"):
            until(lambda: sum(samehost.status()["ports"].values()) == 100, "all rows")
            assert samehost.status()["ports"]["denied"] >= 80
            (reason,) = {row["reason"] for row in samehost.ports() if row["state"] == "denied"}
            assert "ulimit -n" in reason
            short.give_back()
            until(lambda: samehost.status()["ports"]["active"] == 100, "all mirrors", MOST_SECONDS)
