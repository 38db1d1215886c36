"""Containers and listeners that come and go as fast as they can: in the end the list is right."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.effort import EFFORT
from tests.ended import ended
from tests.integration.engines import Inside
from tests.integration.injured import cpu_seconds, memory_of, say
from tests.integration.samehost import (
    IMAGE,
    Samehost,
    ports_of,
    quiet_ports,
    running_samehost,
    until,
)
from tests.integration.test_several_machines import There

CONTAINERS = 1000
AT_ONCE = 20
REAL_CONTAINERS = 40 * EFFORT if EFFORT > 1 else 0
"""Of Docker's own, for which the usual run has no time: two a second."""
BIND_SECONDS = 5 * EFFORT
BINDS_A_SECOND = 1000
PORTS = 400
STAYING = 30
SETTLE_SECONDS = 30.0
CPU_A_CONTAINER = 0.02
"""Seconds of daemon and agent together, for one that comes, listens and goes."""
BUSY = 1.0
"""Processors that daemon and agent may take together while there are a thousand binds a second."""
MORE_BYTES = 32 << 20

pytestmark = pytest.mark.timeout(120 + 2 * BIND_SECONDS + REAL_CONTAINERS)

STUBS = """
import os, socket, sys, time
first, count, at_once, root = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def name(number):
    return "%064x" % (0xc0ffee000000 + number)
def begin(number):
    folder = f"{root}/docker/{name(number)}"
    os.makedirs(folder, exist_ok=True)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open(f"{folder}/cgroup.procs", "w") as procs:
            procs.write("0")
        server = socket.create_server(("127.0.0.1", first + number % at_once))
        os.write(theirs, b"!")
        time.sleep(600)
    os.read(ours, 1)
    os.close(ours), os.close(theirs)
    return number, pid
def end(number, pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.rmdir(f"{root}/docker/{name(number)}")
running = []
for number in range(count):
    if len(running) == at_once:
        end(*running.pop(0))
    running.append(begin(number))
print("there", flush=True)
sys.stdin.readline()
for each in running:
    end(*each)
print("gone", flush=True)
sys.stdin.readline()
"""
"""first count at_once cgroups: so many containers, one after the other, as the kernel sees them.
The last stay until a line is typed."""

BINDS = """
import random, socket, sys, time
first, ports, seconds, rate, stay = map(int, sys.argv[1:6])
chance = random.Random(int(sys.argv[6]))
held, made, begin = {}, 0, time.monotonic()
def flip(port):
    if port in held:
        held.pop(port).close()
        return
    kind = socket.SOCK_STREAM if port % 2 else socket.SOCK_DGRAM
    server = held[port] = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    if port % 2:
        server.listen()
while time.monotonic() < begin + seconds:
    while made < (time.monotonic() - begin) * rate:
        flip(first + chance.randrange(ports))
        made += 1
    time.sleep(0.002)
for port in sorted(held)[stay:]:
    flip(port)
print(made, sorted(held), flush=True)
time.sleep(600)
"""
"""first ports seconds rate stay seed: binds and closes so often a second; then `stay` are left,
which it prints after how often it was."""


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """One that runs."""
    with running_samehost() as samehost:
        yield samehost


@dataclass
class Spent:
    """What daemon and agent have taken since the beginning.

    Attributes:
        seconds: of the clock.
        cpu: of processors.
        memory: bytes, of the one that took more.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0


@contextlib.contextmanager
def spending(samehost: Samehost) -> Iterator[Spent]:
    """Fills it in at the end of the block. Both are the same processes then."""
    processes = samehost.daemon(), samehost.agent()
    spent = Spent()
    begin, cpu = time.monotonic(), sum(map(cpu_seconds, processes))
    memory = [memory_of(each) for each in processes]
    yield spent
    assert (samehost.daemon(), samehost.agent()) == processes
    spent.seconds = time.monotonic() - begin
    spent.cpu = sum(map(cpu_seconds, processes)) - cpu
    spent.memory = max(memory_of(each) - was for each, was in zip(processes, memory, strict=True))


def told(samehost: Samehost, first: int, count: int) -> list[dict[str, Any]]:
    """The rows of the ports that the test has for itself."""
    ports = range(first, first + count)
    return [
        row
        for row in samehost.ports()
        if row["origin"] == "machine" and row["machine_port"] in ports
    ]


def opened(samehost: Samehost, first: int, count: int) -> set[tuple[str, int]]:
    """Which of those ports the daemon has open."""
    ports = range(first, first + count)
    return {(protocol, port) for protocol, _, port in ports_of(samehost.daemon()) if port in ports}


def test_a_thousand_containers_that_come_and_go_leave_those_that_stayed(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    first = quiet_ports(AT_ONCE)
    command = Inside(samehost).command(
        *("/usr/bin/python3", "-c", STUBS),
        *map(str, (first, CONTAINERS, AT_ONCE, "/sys/fs/cgroup")),
    )
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    stayed = range(CONTAINERS - AT_ONCE, CONTAINERS)
    expected = {(first + each % AT_ONCE, f"{0xC0FFEE000000 + each:064x}") for each in stayed}
    try:
        with spending(samehost) as spent:
            assert process.stdout.readline() == "there\n"
            until(lambda: owners(samehost, first) == expected, "the last ones", SETTLE_SECONDS)
            assert opened(samehost, first, AT_ONCE) == {("tcp", port) for port, _ in expected}
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "gone\n"
            until(lambda: told(samehost, first, AT_ONCE) == [], "all to go", SETTLE_SECONDS)
            assert opened(samehost, first, AT_ONCE) == set()
    finally:
        with ended(process):
            process.communicate("\n", timeout=SETTLE_SECONDS)
    each = spent.cpu / CONTAINERS
    say(
        capsys,
        f"{CONTAINERS} containers in {spent.seconds:.1f} s: {each * 1000:.1f} ms of daemon and "
        f"agent each, {spent.memory / (1 << 20):.1f} MiB more",
    )
    assert each < CPU_A_CONTAINER
    assert spent.memory < MORE_BYTES


def owners(samehost: Samehost, first: int) -> set[tuple[int, str]]:
    """Ports that are active, and whose they are."""
    rows = told(samehost, first, AT_ONCE)
    return {(row["machine_port"], row["container"]["id"]) for row in rows if is_active(row)}


def is_active(row: dict[str, Any]) -> bool:
    return bool(row["state"] == "active" and row["container"])


def test_a_thousand_binds_a_second_end_in_the_ports_that_are_left(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    first = quiet_ports(PORTS)
    numbers = (first, PORTS, BIND_SECONDS, BINDS_A_SECOND, STAYING, 8)
    with spending(samehost) as spent:
        with samehost.python(BINDS, *map(str, numbers)) as container:
            said = until(
                lambda: samehost.docker("logs", container), "its end", BIND_SECONDS + SETTLE_SECONDS
            )
            made, _, left = said.partition(" ")
            expected = {(("udp", "tcp")[port % 2], port) for port in json.loads(left)}
            until(
                lambda: opened(samehost, first, PORTS) == expected, "what is left", SETTLE_SECONDS
            )
            rows = told(samehost, first, PORTS)
            assert {(row["protocol"], row["machine_port"]) for row in rows} == expected
            assert len(rows) == len(expected) == STAYING
            assert {row["state"] for row in rows} == {"active"}
        until(lambda: told(samehost, first, PORTS) == [], "all to go", SETTLE_SECONDS)
        assert opened(samehost, first, PORTS) == set()
    busy = spent.cpu / spent.seconds
    say(
        capsys,
        f"{made} binds and closes in {BIND_SECONDS} s: daemon and agent took {busy:.0%} of a "
        f"processor, {spent.memory / (1 << 20):.1f} MiB more",
    )
    assert int(made) > BINDS_A_SECOND * BIND_SECONDS / 2
    assert busy < BUSY
    assert spent.memory < MORE_BYTES


@pytest.mark.skipif(not REAL_CONTAINERS, reason="takes minutes: SAMEHOST_FUZZ_EFFORT=25")
def test_hundreds_of_real_containers_that_come_and_go_leave_nothing(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    first, there = quiet_ports(AT_ONCE), There(samehost, "sandbox")
    with spending(samehost) as spent:
        for number in range(REAL_CONTAINERS):
            there.docker(
                *("run", "--detach", "--network=host", f"--name=n{number}", IMAGE),
                *("nc", "-lk", "-p", str(first + number % AT_ONCE)),
            )
            if number >= 4:
                there.docker("rm", "-f", f"n{number - 4}")
        last = range(REAL_CONTAINERS - 4, REAL_CONTAINERS)
        expected = {("tcp", first + number % AT_ONCE) for number in last}
        until(lambda: opened(samehost, first, AT_ONCE) == expected, "the last", SETTLE_SECONDS)
        names = {row["container"]["name"] for row in told(samehost, first, AT_ONCE)}
        assert names == {f"n{number}" for number in last}
        there.docker("rm", "-f", *sorted(names))
        until(lambda: told(samehost, first, AT_ONCE) == [], "all to go", SETTLE_SECONDS)
    each = spent.cpu / REAL_CONTAINERS
    say(
        capsys,
        f"{REAL_CONTAINERS} real containers in {spent.seconds:.0f} s: {each * 1000:.1f} ms of "
        f"daemon and agent each, {spent.memory / (1 << 20):.1f} MiB more",
    )
    assert spent.memory < MORE_BYTES
