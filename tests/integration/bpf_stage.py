"""Where the tests of eBPF play: a network and a cgroup of their own, and a program in it.

The program does with sockets as it is told. The kernel tells within the system call that is told
of: when the program has answered, its events are there to be read, and nothing is waited for.

Counterparts: `test_bpf_*.py`, `test_detection.py`, `tests/ports_stage.py`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cgroup_program import CgroupProgram, remove_cgroup
from tests.private_network import private_network
from vmagent.bpf import system
from vmagent.bpf.events import BindEvent, BindEvents
from vmagent.bpf.system import BpfError, MapDefinition
from vmagent.watch.cgroups import find_mounts

__all__ = [
    "ANY_PORT",
    "IPPROTO_UDPLITE",
    "PATIENCE",
    "TCP",
    "UDP",
    "Program",
    "Socket",
    "Stage",
    "bound",
    "gone",
    "listening",
    "new_cgroup",
    "on_stage",
    "open_stage",
    "require_bpf",
]

PATIENCE: Final = 30.0
"""Seconds a condition may take."""

TCP: Final = int(socket.SOCK_STREAM)
UDP: Final = int(socket.SOCK_DGRAM)
ANY_PORT: Final = 0

IPPROTO_UDPLITE: Final = 136
"""linux/in.h."""

PROGRAM: Final = """
import ctypes, errno, json, os, signal, socket, sys

sockets = []

def open(family, kind, protocol=0):
    sock = socket.socket(family, kind, protocol)
    sockets.append(sock)
    return [len(sockets) - 1, int.from_bytes(sock.getsockopt(1, 57, 8), sys.byteorder)]

def do(name, method, *arguments):
    arguments = [tuple(each) if isinstance(each, list) else each for each in arguments]
    return getattr(sockets[name], method)(*arguments)

def serve(name, count):
    for _ in range(count):
        with socket.create_connection(sockets[name].getsockname()):
            sockets[name].accept()[0].close()

def bind_and_close(port, count):
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", port))

def send(name, port):
    sockets[name].sendto(b"?", ("127.0.0.1", port))

def fork():
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        os.close(1)
        signal.pause()
    return child

def leave_network():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    return None
"""
"""What runs in a cgroup here: it does with sockets as it is told."""


class Socket:
    """A socket of a program."""

    def __init__(self, program: Program, name: int, cookie: int) -> None:
        self.cookie = cookie
        self._program = program
        self._name = name

    def do(self, method: str, *arguments: object) -> Any:
        """Call a method of the socket. Raises OSError with its errno."""
        return self._program.call("do", self._name, method, *arguments)

    def bind(self, address: str, port: int) -> None:
        self.do("bind", [address, port])

    def listen(self) -> None:
        self.do("listen")

    def close(self) -> None:
        self.do("close")

    @property
    def port(self) -> int:
        return int(self.do("getsockname")[1])

    def send(self, port: int) -> None:
        """A datagram to that port."""
        self._program.call("send", self._name, port)

    def serve(self, connections: int) -> None:
        """Connect, accept and close on both sides, that often."""
        self._program.call("serve", self._name, connections)


class Program(CgroupProgram):
    """A process in the cgroup of the test."""

    source = PROGRAM

    def open(self, kind: int, family: int = socket.AF_INET, protocol: int = 0) -> Socket:
        return Socket(self, *self.call("open", int(family), int(kind), protocol))

    def udp(self, address: str, port: int) -> Socket:
        """A bound UDP socket."""
        sock = self.open(UDP, socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.bind(address, port)
        return sock

    def tcp(self, address: str = "127.0.0.1", port: int = ANY_PORT, protocol: int = 0) -> Socket:
        """A listening TCP socket."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.open(TCP, family, protocol)
        sock.bind(address, port)
        sock.listen()
        return sock


class Stage:
    """A cgroup, a program in it, and what is told of it."""

    def __init__(self, cgroup: Path, events: BindEvents, program: Program) -> None:
        self.cgroup = cgroup
        self.events = events
        self.program = program

    def told(self) -> list[BindEvent]:
        """All events since it was last asked. Nothing was lost."""
        told: list[BindEvent] = []
        while True:
            drained = self.events.drain()
            assert drained.lost == 0
            if not drained.events:
                return told
            told += drained.events


@contextlib.contextmanager
def new_cgroup(name: str = "") -> Iterator[Path]:
    mounts = find_mounts(Path("/proc/self/mountinfo").read_text())
    points = [each.point for each in mounts if each.version == 2 and each.root == "/"]
    if not points:
        pytest.skip("cgroup version 2 is not mounted here")
    cgroup = Path(points[0]) / f"samehost-bpf-{os.getpid()}{name}"
    try:
        cgroup.mkdir()
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    try:
        yield cgroup
    finally:
        remove_cgroup(cgroup)


def require_bpf() -> None:
    """Skip the test where the kernel lets nobody make a map."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        system.raise_memlock_limit()  # what is tested does so itself, before Linux 5.11
        os.close(system.create_map("samehost_probe", MapDefinition(2, 4, 8, 1, 0)))
    except BpfError as error:
        pytest.skip(f"no eBPF here: {error}")
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    require_bpf()
    with new_cgroup() as cgroup, Program.running(cgroup) as program:
        with contextlib.closing(BindEvents(str(cgroup))) as events:
            yield Stage(cgroup, events, program)


def on_stage(test: Callable[[Stage], None]) -> Callable[[], None]:
    """Decorator: the test has a network of its own, and a stage."""

    @private_network
    def run() -> None:
        with open_stage() as stage:
            test(stage)

    # Not functools.wraps: pytest would take the argument for a fixture.
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def bound(sock: Socket, port: int) -> BindEvent:
    return BindEvent(sock.cookie, port, "udp", "bound")


def listening(sock: Socket, port: int) -> BindEvent:
    return BindEvent(sock.cookie, port, "tcp", "listening")


def gone(event: BindEvent) -> BindEvent:
    return event._replace(kind="gone")
