"""Detection on the real kernel: cgroups, and the watcher as a whole.

Each test has a network namespace of its own. Those with containers make cgroups named like an
engine's, put a process there, and remove them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from link import polling
from link.listener import Container, Listener
from link.maturity import MATURITY_SECONDS
from link.polling import FAST, AdaptiveInterval
from link.processes import process_name
from link.sockdiag import (
    DestroyEvents,
    ListeningSocket,
    SockDiag,
    SockDiagError,
    ephemeral_ports,
)
from tests.cgroup_program import CgroupProgram, remove_cgroup
from tests.integration.bpf_stage import require_bpf
from tests.integration.kernel_sockets import bind_udp, listen
from tests.private_network import private_network
from tests.until import until
from vmagent.watch import binds as binds_module
from vmagent.watch import watcher as watcher_module
from vmagent.watch.cgroups import find_mounts
from vmagent.watch.watcher import Watcher

ID: Final = "0123456789abcdef" * 4

PROGRAM: Final = """
import json, socket, sys, time

sockets = []

def listen(protocol, address, port, v6only):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    sock.bind((address, port))
    if protocol == "tcp":
        sock.listen()
    sockets.append(sock)
    return sock.getsockname()[1]

def close_oldest():
    sockets.pop(0).close()
    return 0

def look_up(count, seconds):
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("0.0.0.0", 0))
            sock.sendto(b"?", ("127.0.0.1", 53))
            time.sleep(seconds)
    return count
"""
"""What runs in a container here: it does as it is told. `look_up` is what musl's resolver does."""


class Program(CgroupProgram):
    """A program in a container."""

    source = PROGRAM

    def listen(
        self, address: str, *, protocol: str = "tcp", port: int = 0, v6only: bool = True
    ) -> int:
        """The port on which it listens now; port 0 leaves the choice to the kernel."""
        return int(self.call("listen", protocol, address, port, v6only))

    def close_oldest(self) -> None:
        self.call("close_oldest")

    def look_up(self, count: int, seconds: float) -> int:
        """Bind, send from and close as many sockets, each open for some time. How many it did."""
        return int(self.call("look_up", count, seconds))


@contextlib.contextmanager
def container_cgroup(version: int) -> Iterator[Path]:
    """A cgroup as Docker's cgroupfs driver makes them; skips if this kernel has no such tree."""
    mounts = find_mounts(Path("/proc/self/mountinfo").read_text())
    points = [each.point for each in mounts if each.version == version and each.root == "/"]
    if version == 1:  # no limits to set before a process may enter
        points = [point for point in points if point.endswith(("/pids", "/freezer"))]
    if not points:
        pytest.skip(f"no cgroup version {version} here")
    parent = Path(points[0]) / f"samehost-test-{os.getpid()}"
    cgroup = parent / "docker" / ID
    try:
        cgroup.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    try:
        yield cgroup
    finally:
        for directory in (cgroup, cgroup.parent, parent):
            remove_cgroup(directory)


@contextlib.contextmanager
def program_in_container(version: int = 2) -> Iterator[Program]:
    with container_cgroup(version) as cgroup, Program.running(cgroup) as program:
        yield program


class Told:
    """Follows the watcher's differences, and what they sum up to."""

    def __init__(self) -> None:
        self.current: dict[int, Listener] = {}
        self.changes = 0

    def __call__(self, added: Sequence[Listener], removed: Sequence[int]) -> None:
        self.changes += 1
        for each in removed:
            del self.current[each]
        self.current.update((each.id, each) for each in added)

    def ports(self) -> set[int]:
        return {each.port for each in self.current.values()}


def watch(scenario: Callable[[Watcher, Told], Awaitable[None]], own: frozenset[int]) -> None:
    """Run a scenario beside a watcher that runs."""

    async def main() -> None:
        told = Told()
        watcher = Watcher(on_change=told, own_inodes=lambda: own, engine=None)
        task = asyncio.create_task(watcher.run())
        try:
            await scenario(watcher, told)
            assert told.current == watcher.listeners
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("version", [2, 1])
@private_network
def test_a_containers_listener_is_told_with_its_owner(version: int, protocol: str) -> None:
    with program_in_container(version) as program, listen(), bind_udp("0.0.0.0", 5000):

        async def scenario(_: Watcher, told: Told) -> None:
            early = program.listen("0.0.0.0", protocol=protocol, port=5001)
            await until(told.ports)
            late = program.listen("::", protocol=protocol, port=5002, v6only=False)
            await until(lambda: len(told.current) == 2)
            assert told.ports() == {early, late}
            for each in told.current.values():
                assert each.protocol == protocol
                assert each.container == Container(ID, "", "docker")
                assert each.pid == program.process.pid
                assert each.process == process_name(program.process.pid)
                assert each.is_dual_stack is (each.port == late)
            program.close_oldest()
            await until(lambda: told.ports() == {late})
            program.kill()
            await until(lambda: not told.current)

        watch(scenario, frozenset())


@private_network
def test_the_agents_own_sockets_are_left_out_even_in_a_container() -> None:
    with program_in_container() as program:
        ours = program.listen("127.0.0.1")
        diag = SockDiag()
        own = frozenset(each.inode for each in diag.listeners())
        diag.close()
        assert len(own) == 1

        async def scenario(watcher: Watcher, told: Told) -> None:
            theirs = program.listen("127.0.0.1")
            await until(told.ports)
            watcher.rescan()
            assert told.ports() == {theirs}
            assert theirs != ours

        watch(scenario, own)


SETTLING_SCANS: Final = 8
"""Most scans beyond the usual pace, right after the watcher began: SOON, twice that, and so on."""

TIERS: Final = {
    "eBPF, destroy events": (True, True),
    "eBPF": (True, False),
    "destroy events": (False, True),
    "polling": (False, False),
}
"""What a kernel may have: events of binds, events of destroyed sockets."""


def choose_tier(monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    """Let the kernel have no more than that."""

    def refuse(*_: object) -> NoReturn:
        raise SockDiagError(1, "not permitted")

    has_binds, has_ends = TIERS[tier]
    if has_binds:
        require_bpf()
    else:
        monkeypatch.setattr(binds_module, "BindEvents", refuse)
    if not has_ends:
        monkeypatch.setattr(watcher_module, "DestroyEvents", refuse)


def look_at_events_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scan is due by the clock."""
    never = functools.partial(AdaptiveInterval, fast=3600.0, slow=3600.0)
    monkeypatch.setattr(watcher_module, "AdaptiveInterval", never)
    monkeypatch.setattr(polling, "SOON", 3600.0)


async def until_begun(watcher: Watcher, tier: str) -> None:
    """Until what tells of binds is at work, or known not to be."""
    if TIERS[tier][0]:
        await until(lambda: watcher.description.startswith("eBPF"))
    else:
        await until(lambda: "(no eBPF: not permitted)" in watcher.description)


@pytest.mark.parametrize("tier", ["eBPF", "destroy events"])
@pytest.mark.parametrize(
    ("protocol", "ports"),
    [("tcp", [0, 0]), ("udp", [5001, 5002]), ("udp", [0, 0])],
    ids=["tcp", "udp", "udp on a port of the kernel's choice"],
)
@private_network
def test_a_closed_listener_is_told_by_the_event_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch, protocol: str, ports: list[int], tier: str
) -> None:
    choose_tier(monkeypatch, tier)
    look_at_events_only(monkeypatch)
    with program_in_container() as program:
        for port in ports:
            program.listen("127.0.0.1", protocol=protocol, port=port)

        async def scenario(watcher: Watcher, told: Told) -> None:
            await until_begun(watcher, tier)
            await until(lambda: len(told.current) == 2)
            program.close_oldest()
            await until(lambda: len(told.current) == 1)
            program.kill()
            await until(lambda: not told.current)
            assert told.changes == 3

        watch(scenario, frozenset())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@private_network
def test_a_new_listener_is_told_by_the_event_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    choose_tier(monkeypatch, "eBPF")
    look_at_events_only(monkeypatch)
    with program_in_container() as program:

        async def scenario(watcher: Watcher, told: Told) -> None:
            await until_begun(watcher, "eBPF")
            ports = (5001, 45_001)
            assert ports[1] in ephemeral_ports()
            program.listen("127.0.0.1", protocol=protocol, port=ports[0])
            await until(lambda: told.ports() == {ports[0]})
            program.listen("127.0.0.1", protocol=protocol, port=ports[1])
            await until(lambda: told.ports() == set(ports))

        watch(scenario, frozenset())


@pytest.mark.parametrize("tier", TIERS)
@private_network
def test_every_tier_finds_the_same(monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    choose_tier(monkeypatch, tier)
    with program_in_container() as program:

        async def scenario(watcher: Watcher, told: Told) -> None:
            await until_begun(watcher, tier)
            port = program.listen("::1")
            await until(lambda: told.ports() == {port})
            chosen = program.listen("127.0.0.1", protocol="udp")
            await until(lambda: told.ports() == {port, chosen})
            program.close_oldest()
            await until(lambda: told.ports() == {chosen})
            program.close_oldest()
            await until(lambda: not told.current)

        watch(scenario, frozenset())


@private_network
def test_a_thousand_ports_of_one_container_are_all_told() -> None:
    with program_in_container() as program:

        async def scenario(_: Watcher, told: Told) -> None:
            ports = {program.listen("127.0.0.1") for _ in range(1000)}
            await until(lambda: told.ports() == ports)
            assert {each.pid for each in told.current.values()} == {program.process.pid}
            program.kill()
            await until(lambda: not told.current)

        watch(scenario, frozenset())


class Seen:
    """What a watcher did: the UDP ports of each of its dumps, and how often an event woke it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dumps: list[set[int]] = []
        self.wakes = 0
        list_all, drain = SockDiag.listeners, DestroyEvents.drain

        def listeners(diag: SockDiag) -> list[ListeningSocket]:
            found = list_all(diag)
            self.dumps.append({each.port for each in found if each.protocol == "udp"})
            return found

        def counted_drain(events: DestroyEvents) -> bool:
            self.wakes += 1
            return drain(events)

        monkeypatch.setattr(SockDiag, "listeners", listeners)
        monkeypatch.setattr(DestroyEvents, "drain", counted_drain)


@pytest.mark.parametrize(
    ("count", "seconds"), [(2000, 0.003), (10_000, 0.0)], ids=["steady", "storm"]
)
@private_network
def test_look_ups_of_a_container_are_never_told_and_wake_nobody(
    monkeypatch: pytest.MonkeyPatch, count: int, seconds: float
) -> None:
    seen = Seen(monkeypatch)
    with program_in_container() as program:

        async def scenario(_: Watcher, told: Told) -> None:
            await until(lambda: seen.dumps)
            begin, scans = time.monotonic(), len(seen.dumps)
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(None, program.look_up, count, seconds) == count
            scans, elapsed = len(seen.dumps) - scans, time.monotonic() - begin
            assert (told.changes, seen.wakes) == (0, 0)
            assert scans <= elapsed / FAST + SETTLING_SCANS
            # It is not for want of looking: those open at the time of a scan were seen.
            assert seconds == 0 or len(set().union(*seen.dumps)) > 5
            program.listen("127.0.0.1", protocol="udp", port=5000)
            await until(lambda: told.ports() == {5000})

        watch(scenario, frozenset())


@private_network
def test_a_server_on_a_port_of_the_kernels_choice_is_told_after_a_second() -> None:
    with program_in_container() as program:

        async def scenario(_: Watcher, told: Told) -> None:
            before = time.monotonic()
            port = program.listen("0.0.0.0", protocol="udp")
            assert port in ephemeral_ports()
            await until(told.ports)
            assert time.monotonic() - before >= MATURITY_SECONDS
            (found,) = told.current.values()
            assert (found.port, found.container) == (port, Container(ID, "", "docker"))
            program.close_oldest()
            await until(lambda: not told.current)

        watch(scenario, frozenset())


@private_network
def test_a_watcher_that_ends_leaves_no_descriptor() -> None:
    async def scenario(_: Watcher, __: Told) -> Any:
        await asyncio.sleep(0)

    watch(scenario, frozenset())
    before = os.listdir("/proc/self/fd")
    watch(scenario, frozenset())
    assert os.listdir("/proc/self/fd") == before
