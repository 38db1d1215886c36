"""Who says a byte now and then is not cut off; who never reads, or never stops, holds up nobody."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.effort import EFFORT
from tests.integration.injured import echo, echoing, memory_of, mirrored, say
from tests.integration.samehost import PATIENCE, Samehost, quiet_ports, running_samehost, until
from tests.integration.servers import CROWD_ECHO

RARE_FLOWS = 200
RARE_SECONDS = 2.0 * EFFORT
"""With an effort of 30 it is a byte a minute."""
RARE_ROUNDS = 4
"""Longer than the lease of a link, which is 5 s, also in the usual run."""

STUCK = 8
"""Readers that never read, and as many servers that never do."""
STUCK_BYTES = 64 << 10
"""What a program says at once."""
NETWORK = Path("/proc/sys/net/ipv4")
MOST_STUCK_BYTES = 2 * sum(
    int((NETWORK / name).read_text().split()[2]) for name in ("tcp_rmem", "tcp_wmem")
) + (16 << 20)
"""That a writer gets rid of before it has to wait: the buffers of both TCP connections, as large as
Linux lets them grow (tcp(7)), and of the stream between them with a pipe at either end."""
BESIDE_SECONDS = 4.0
MOST_WAIT = 3.0
"""Seconds that an echo takes beside all that."""
MORE_BYTES = 24 << 20
"""Of the daemon's memory and the agent's, for all of them: most is the kernel's, in sockets."""

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
HALF_CLOSED = min(10_000, 500 * EFFORT, FILES[1] * 2 // 5)
"""Ten thousand, or as many as the limit of files bears: two for each flow, and some to spare."""
MOST_BYTES_A_FLOW = 16 << 10

pytestmark = pytest.mark.timeout(120 + RARE_SECONDS * RARE_ROUNDS)

HOLDER = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
held = []
while True:
    held.append(server.accept()[0])
"""
"""port: takes every connection, and neither reads nor says anything."""

FLOOD = """
import socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
def flood(client):
    try:
        while True:
            client.sendall(bytes(65536))
    except OSError:
        pass
while True:
    threading.Thread(target=flood, args=(server.accept()[0],)).start()
"""
"""port: talks to each client for ever."""


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """One that runs."""
    with running_samehost() as samehost:
        yield samehost


def sizes(samehost: Samehost) -> list[int]:
    return [memory_of(each) for each in (samehost.daemon(), samehost.agent())]


def more(samehost: Samehost, before: list[int]) -> int:
    """By how much the one grew that grew more."""
    return max(now - was for now, was in zip(sizes(samehost), before, strict=True))


def test_flows_that_say_a_byte_now_and_then_are_never_cut_off(samehost: Samehost) -> None:
    port = quiet_ports(1)
    with mirrored(samehost, CROWD_ECHO, port), contextlib.ExitStack() as stack:
        flows = [stack.enter_context(echoing(port)) for _ in range(RARE_FLOWS)]
        before = sizes(samehost)
        begin = time.monotonic()
        for turn in range(RARE_ROUNDS):
            time.sleep(max(0.0, begin + turn * RARE_SECONDS - time.monotonic()))
            for flow in flows:
                flow.sendall(b"%d" % turn)
            assert {flow.recv(9) for flow in flows} == {b"%d" % turn}
        assert more(samehost, before) < MORE_BYTES
        assert samehost.status()["flows"]["tcp"] == RARE_FLOWS


def test_who_never_reads_and_who_never_stops_cost_bounded_memory_and_hold_up_nobody(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    port = quiet_ports(3)
    with contextlib.ExitStack() as stack:
        for number, code in enumerate((CROWD_ECHO, HOLDER, FLOOD)):
            stack.enter_context(mirrored(samehost, code, port + number))
        other = stack.enter_context(echoing(port))
        before = sizes(samehost)
        writers = [stack.enter_context(connected(port + 1)) for _ in range(STUCK)]
        said = [say_until_stuck(writer) for writer in writers]
        for _ in range(STUCK):
            stack.enter_context(connected(port + 2))
        reading = stack.enter_context(connected(port + 2))
        stack.enter_context(draining(reading))
        waits = list(asking_for(other, BESIDE_SECONDS))
        grown = more(samehost, before)
        say(
            capsys,
            f"{STUCK} writers stuck after {max(said) / (1 << 20):.1f} MiB at most, {STUCK} readers "
            f"never read: {grown / (1 << 20):.1f} MiB more; beside a flood an echo takes "
            f"{median(waits) * 1000:.1f} ms, {max(waits) * 1000:.0f} ms at most",
        )
    assert max(said) < MOST_STUCK_BYTES
    assert grown < MORE_BYTES
    assert max(waits) < MOST_WAIT
    until(lambda: samehost.status()["flows"]["tcp"] == 0, "all flows to end")


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def say_until_stuck(writer: socket.socket) -> int:
    """Bytes that could be said until nobody took more for half a second."""
    writer.settimeout(0.5)
    said = 0
    with contextlib.suppress(TimeoutError):
        while said < 2 * MOST_STUCK_BYTES:
            said += writer.send(bytes(STUCK_BYTES))
    return said


@contextlib.contextmanager
def draining(client: socket.socket) -> Iterator[None]:
    """Read all that comes, as fast as it comes."""

    def drain() -> None:
        with contextlib.suppress(OSError):
            while client.recv(1 << 20):
                pass

    thread = threading.Thread(target=drain, name="reader")
    thread.start()
    try:
        yield
    finally:
        client.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def asking_for(client: socket.socket, seconds: float) -> Iterator[float]:
    """How long each echo took."""
    begin = time.monotonic()
    while (now := time.monotonic()) < begin + seconds:
        assert echo(client, b"are you there?") == b"are you there?"
        yield time.monotonic() - now


def test_thousands_of_flows_that_are_closed_by_half_cost_little_and_hinder_nobody(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    port = quiet_ports(2)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES[1], FILES[1]))
        for number, code in enumerate((CROWD_ECHO, HOLDER)):
            stack.enter_context(mirrored(samehost, code, port + number))
        other = stack.enter_context(echoing(port))
        before = sizes(samehost)
        for number in range(1, HALF_CLOSED + 1):
            stack.enter_context(connected(port + 1)).shutdown(socket.SHUT_WR)
            if number % 500 == 0:  # more would wait for streams until their time is over
                until(lambda: flows(samehost) > number, "flows", 30)  # noqa: B023
        waits = list(asking_for(other, 1.0))
        each = more(samehost, before) / HALF_CLOSED
        say(
            capsys,
            f"{HALF_CLOSED} flows closed by half: {each / 1024:.1f} KiB each; "
            f"an echo takes {max(waits) * 1000:.0f} ms at most",
        )
    assert each < MOST_BYTES_A_FLOW
    assert max(waits) < MOST_WAIT
    until(lambda: flows(samehost) == 0, "all to go", 30)


def flows(samehost: Samehost) -> int:
    return int(samehost.status()["flows"]["tcp"])
