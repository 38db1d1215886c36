"""Detection on the real kernel: sockets, destroy events, cgroups, the watcher as a whole.

Each test has a network namespace of its own. Those with containers make cgroups named like an
engine's, put a process there, and remove them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from link.listener import Container, Listener
from link.polling import AdaptiveInterval
from link.processes import process_name
from link.sockdiag import DestroyEvents, SockDiag, SockDiagError, to_listener
from tests.private_network import private_network
from vmagent.watch import watcher as watcher_module
from vmagent.watch.cgroups import find_mounts
from vmagent.watch.watcher import Watcher

ID: Final = "0123456789abcdef" * 4
PATIENCE: Final = 10.0
"""Seconds a condition may take."""

IPPROTO_MPTCP: Final = 262

PROGRAM: Final = """
import json, socket, sys
sockets = []
for line in sys.stdin:
    address, v6only = json.loads(line)
    if address is None:
        sockets.pop(0).close()
        answer = 0
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.bind((address, 0))
        sock.listen()
        sockets.append(sock)
        answer = sock.getsockname()[1]
    print(answer, flush=True)
"""
"""What runs in a container here: it listens and closes as it is told."""


class Program:
    """A process in a cgroup, in this thread's network namespace."""

    def __init__(self, cgroup: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        (cgroup / "cgroup.procs").write_text(str(self.process.pid))

    def _tell(self, *command: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def listen(self, address: str, *, v6only: bool = True) -> int:
        """The port on which it listens now."""
        return self._tell(address, v6only)

    def close_oldest(self) -> None:
        self._tell(None, True)

    def kill(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


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
            _remove(directory)


def _remove(cgroup: Path) -> None:
    """A cgroup can be removed shortly after its last process was reaped."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            cgroup.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


@contextlib.contextmanager
def program_in_container(version: int = 2) -> Iterator[Program]:
    with container_cgroup(version) as cgroup:
        program = Program(cgroup)
        try:
            yield program
        finally:
            program.kill()


def listen(address: str = "127.0.0.1", protocol: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.bind((address, 0))
    sock.listen()
    return sock


def dump(diag: SockDiag) -> list[Listener]:
    return [to_listener(each) for each in diag.listeners()]


# ---- the kernel's answers


@private_network
def test_a_multipath_listener_appears_as_tcp() -> None:
    try:
        sock = listen(protocol=IPPROTO_MPTCP)
    except OSError as error:
        pytest.skip(f"no multipath TCP here: {error}")
    diag = SockDiag()
    with sock, contextlib.closing(diag):
        (found,) = dump(diag)
        assert found.port == sock.getsockname()[1]
        assert found.inode == os.fstat(sock.fileno()).st_ino


@private_network
def test_connections_and_bound_sockets_do_not_appear() -> None:
    diag = SockDiag()
    with listen() as server, socket.socket() as bound, contextlib.closing(diag):
        bound.bind(("127.0.0.1", 0))
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert [each.port for each in dump(diag)] == [server.getsockname()[1]]


@private_network
def test_a_closed_client_works_again() -> None:
    diag = SockDiag()
    with listen():
        first = dump(diag)
        diag.close()
        assert dump(diag) == first
        diag.close()


@private_network
def test_a_dump_of_many_parts_is_whole_while_others_come_and_go() -> None:
    diag = SockDiag()
    lasting = [listen() for _ in range(700)]
    expected = {sock.getsockname()[1] for sock in lasting}
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for sock in [listen() for _ in range(20)]:
                sock.close()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            assert expected <= {each.port for each in diag.listeners()}
    finally:
        stop.set()
        thread.join()
        diag.close()
        for sock in lasting:
            sock.close()


# ---- destroy events


@private_network
def test_only_sockets_without_a_peer_wake() -> None:
    events = DestroyEvents()
    with listen() as server, contextlib.closing(events):
        for _ in range(20):
            client = socket.create_connection(server.getsockname())
            server.accept()[0].close()
            client.close()
        server.close()
        # The listener's event is behind all of the connections' in the queue, if those came.
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        assert events._socket.recv(1)
        assert not events.drain()


@private_network
def test_an_overflow_is_a_reason_to_look_and_heals() -> None:
    events = DestroyEvents()
    with contextlib.closing(events):
        events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(200):
            listen().close()
        assert events.drain()
        while events.drain():
            pass
        listen("::1").close()
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        assert events.drain()


@private_network
def test_events_of_a_closed_subscription_are_an_error() -> None:
    events = DestroyEvents()
    events.close()
    events.close()
    with pytest.raises(SockDiagError):
        events.drain()


# ---- the watcher


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


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another task brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.002)


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


@pytest.mark.parametrize("version", [2, 1])
@private_network
def test_a_containers_listener_is_told_with_its_owner(version: int) -> None:
    with program_in_container(version) as program, listen() as machines_own:

        async def scenario(_: Watcher, told: Told) -> None:
            early = program.listen("0.0.0.0")
            await until(told.ports)
            late = program.listen("::", v6only=False)
            await until(lambda: len(told.current) == 2)
            assert told.ports() == {early, late}
            assert machines_own.getsockname()[1] not in told.ports()
            for each in told.current.values():
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


@private_network
def test_a_closed_listener_is_told_by_the_event_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = functools.partial(AdaptiveInterval, fast=3600.0, slow=3600.0)
    monkeypatch.setattr(watcher_module, "AdaptiveInterval", never)
    with program_in_container() as program:
        for _ in range(2):
            program.listen("127.0.0.1")

        async def scenario(watcher: Watcher, told: Told) -> None:
            assert watcher.description == "sock_diag, destroy events"
            await until(lambda: len(told.current) == 2)
            program.close_oldest()
            await until(lambda: len(told.current) == 1)
            program.kill()
            await until(lambda: not told.current)
            assert told.changes == 3

        watch(scenario, frozenset())


@private_network
def test_without_events_polling_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SockDiagError(1, "not permitted")

    monkeypatch.setattr(watcher_module, "DestroyEvents", refuse)
    with program_in_container() as program:

        async def scenario(watcher: Watcher, told: Told) -> None:
            assert watcher.description == "sock_diag polling"
            port = program.listen("::1")
            await until(lambda: told.ports() == {port})
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


@private_network
def test_a_watcher_that_ends_leaves_no_descriptor() -> None:
    async def scenario(_: Watcher, __: Told) -> Any:
        await asyncio.sleep(0)

    watch(scenario, frozenset())
    before = os.listdir("/proc/self/fd")
    watch(scenario, frozenset())
    assert os.listdir("/proc/self/fd") == before
