"""Where the desktop's ports are reached from containers: a network, cgroups, and programs in them.

    container, outsider ─▶ Stubs or Redirect ─▶ TCP: said what was asked for, then echoed
    (child processes)      (the test's loop)  └▶ UDP: Front ─▶ stream ─▶ Back ─▶ Server

Rules: one network namespace, the test's; the "desktop's" UDP server has a port of its own there.
The container's cgroup is led to the desktop; the outsider's is the machine's own.

Counterpart: `tests/contract/test_desktop_ports.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

from link.datagrams.back import Back
from link.datagrams.flow import UNWATCHED
from link.datagrams.flows import Limits
from link.datagrams.front import Front
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import DatagramSockets
from link.messages import StubKey, StubResult
from link.opening import OpenReader
from link.pool import StreamPool
from link.relay.relay import end_in_order
from link.wire import OpenRequest
from tests.cgroup_program import CgroupProgram, remove_cgroup
from tests.contract.udp_world import Server, stream_pair
from tests.integration.bpf_stage import new_cgroup, require_bpf
from tests.private_network import private_network
from vmagent.desktop_ports.redirect import Redirect
from vmagent.desktop_ports.stubs import Stubs

__all__ = [
    "PATIENCE",
    "SERVER",
    "WAYS",
    "Program",
    "Stage",
    "cgroups",
    "on_stage",
]

PATIENCE: Final = 30.0
"""Seconds that anything may take."""

WAYS: Final = ("stubs", "redirect")

SERVER: Final = b"desktop:"
"""What the desktop's UDP server says before what it heard."""

PROGRAM: Final = """
import ctypes, errno, fcntl, json, os, socket, struct, sys

kept = {}
PATIENCE = 30.0

def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET

def open(address, kind, options=()):
    sock = socket.socket(family_of(address), kind)
    sock.settimeout(PATIENCE)
    for option in options:
        sock.setsockopt(*option)
    return sock

def peer_of(sock):
    try:
        return sock.getpeername()[:2]
    except OSError:  # it was reset already
        return "", 0

def end(sock):
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # what a reset was, recv tells
            raise

def tcp(address, port, words="hello"):
    with open(address, socket.SOCK_STREAM) as sock:
        sock.connect((address, port))
        peer = peer_of(sock)
        sock.sendall(words.encode())
        end(sock)
        heard = b""
        while part := sock.recv(65536):
            heard += part
        return [heard.decode(), *peer]

def tcp_name(address, port):
    with open(address, socket.SOCK_STREAM) as sock:
        sock.connect((address, port))
        return sock.getsockname()[0]

def udp(address, port, words="hello", bind=None):
    with open(address, socket.SOCK_DGRAM) as sock:
        if bind:
            sock.bind(tuple(bind))
        sock.sendto(words.encode(), (address, port))
        heard, sender = sock.recvfrom(65536)
        return [heard.decode(), *sender[:2]]

def udp_connected(address, port, words="hello"):
    with open(address, socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        sock.send(words.encode())
        heard, sender = sock.recvfrom(65536)
        return [heard.decode(), *sender[:2], *sock.getpeername()[:2]]

def udp_two(address, first, second):
    with open(address, socket.SOCK_DGRAM) as sock:
        answers = []
        for port in (first, second):
            sock.sendto(b"?", (address, port))
            heard, sender = sock.recvfrom(65536)
            answers.append([heard.decode(), sender[1]])
        return answers

def bind(address, port, kind="tcp", options=()):
    kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with open(address, kind, options) as sock:
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock.getsockname()[1]

def serve(name, address, port, kind="tcp"):
    kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    kept[name] = sock = open(address, kind)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock.getsockname()[1]

def hold(name, address, port, kind="tcp"):
    kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    kept[name] = sock = open(address, kind)
    sock.connect((address, port))

def hear(name):
    return kept[name].recv(65536).decode()

def say(name, words):
    kept[name].sendall(words.encode())
    return hear(name)

def answer(name):
    sock = kept[name]
    client = sock.accept()[0]
    with client:
        client.sendall(b"machine")

def release(name):
    kept.pop(name).close()

def mptcp(address, port):
    with socket.socket(family_of(address), socket.SOCK_STREAM, 262) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((address, port))
        sock.recv(1)

def mptcp_bind(address, port):
    with socket.socket(family_of(address), socket.SOCK_STREAM, 262) as sock:
        sock.bind((address, port))

def leave_network():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
    with socket.socket() as sock:  # SIOCSIFFLAGS, IFF_UP
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 1))

def connects(address, port, count):
    import time
    began = time.perf_counter()
    for _ in range(count):
        sock = socket.socket(family_of(address), socket.SOCK_STREAM)
        sock.connect_ex((address, port))
        sock.close()
    return (time.perf_counter() - began) / count * 1e6

def round_trips(address, port, count):
    import time
    took = []
    with open(address, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((address, port))
        sock.sendall(b"x")
        sock.recv(65536)
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(b"x")
            sock.recv(65536)
            took.append(time.perf_counter() - began)
    return sorted(took)[count // 2] * 1e6
"""
"""What runs in a cgroup here: it does with sockets as it is told."""


class Program(CgroupProgram):
    """A program that a loop can wait for."""

    source = PROGRAM

    async def tell(self, *command: object) -> Any:
        """What the command gives. Raises OSError with its errno."""
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(None, self.call, *command), 2 * PATIENCE)

    async def error_of(self, *command: object) -> str:
        """The name of the error that a command gives; "" if it succeeds."""
        try:
            await self.tell(*command)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return ""


@contextlib.contextmanager
def cgroups() -> Iterator[tuple[Path, Path]]:
    """Two cgroups, a container's and one of the machine's own, in one of the test's."""
    require_bpf()
    with new_cgroup("-ports") as top:
        inner = top / "container", top / "own"
        for each in inner:
            each.mkdir()
        try:
            yield inner
        finally:
            for each in inner:
                remove_cgroup(each)


class Stage:
    """The agent's part, and two programs. `way` is one of WAYS."""

    def __init__(self, way: str, container: Program, outsider: Program, cgroup: Path) -> None:
        self.way = way
        self.container = container
        self.outsider = outsider
        self.served: list[StubKey] = []
        self.lost: list[StubResult] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets = LinuxDatagramSockets()
        self._pool = StreamPool(self._wanted)
        self._backs: list[Back] = []
        self._readers: set[OpenReader] = set()
        self._lines: list[socket.socket] = []
        self._server = Server(SERVER)
        self._limits = Limits()
        own = (cgroup.parent / "own").stat().st_ino
        self.ports: Stubs | Redirect
        if way == "stubs":
            self.ports = Stubs(self._client, lambda key: self._front(key, self._sockets))
        else:
            self.ports = Redirect(
                self._client,
                self._front,
                self._sockets,
                self.lost.extend,
                str(cgroup.parent),
                lambda: [own],
            )

    def open(self, *keys: StubKey) -> None:
        """The desktop has these ports."""
        for result in self.ports.open(keys):
            assert result.is_open, result

    def close(self, *keys: StubKey) -> None:
        """It has them no more."""
        for result in self.ports.close(keys):
            assert not result.is_open
            assert not result.errno

    def _client(self, key: StubKey, client: socket.socket) -> None:
        self.served.append(key)
        task = asyncio.get_running_loop().create_task(_echo(key, client), name="a client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _front(self, key: StubKey, sockets: DatagramSockets) -> Front:
        request = OpenRequest(key.address, key.port, "udp")
        return Front(
            sockets,
            key.address,
            key.port,
            target=lambda: request,
            pool=self._pool,
            limits=self._limits,
            watch=UNWATCHED,
        )

    def _wanted(self) -> None:
        if self._pool.waiting or not self._pool.idle:
            near, far = stream_pair()
            self._lines += [near, far]
            self._readers.add(OpenReader(far, self._opened, self._readers.discard))
            asyncio.get_running_loop().call_soon(self._pool.put, near)

    def _opened(self, stream: socket.socket, request: OpenRequest) -> None:
        self.served.append(StubKey(request.address, request.port, request.protocol))
        self._backs.append(
            Back(
                self._sockets,
                stream,
                "127.0.0.1",
                self._server.port,
                limits=self._limits,
                watch=UNWATCHED,
                on_end=self._backs.remove,
            )
        )

    def end_server(self) -> None:
        """Nobody is at the desktop's UDP port any more, of which nobody has been told yet."""
        self._server.close()

    async def aclose(self) -> None:
        """End everything."""
        self.ports.end()
        for back in list(self._backs):
            back.close()
        for reader in self._readers:
            reader.close()
        self._pool.close()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a stream that was to be put is put, and closed with its line
        self._sockets.close()
        for line in self._lines:
            line.close()


async def _echo(key: StubKey, client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with client:
        await loop.sock_sendall(client, f"{key.address} {key.port} ".encode())
        while data := await loop.sock_recv(client, 65536):
            await loop.sock_sendall(client, data)
        end_in_order(client)


@contextlib.asynccontextmanager
async def _opened(
    way: str, container: Program, outsider: Program, cgroup: Path
) -> AsyncIterator[Stage]:
    stage = Stage(way, container, outsider, cgroup)
    try:
        yield stage
    finally:
        await stage.aclose()


def on_stage(
    test: Callable[[Stage], Coroutine[Any, Any, None]],
) -> Callable[[str], None]:
    """Decorator: the test has a stage; its parameter is the way."""

    @private_network
    def run(way: str) -> None:
        async def story() -> None:
            async with asyncio.timeout(60):
                async with _opened(way, container, outsider, inner[0]) as stage:
                    await test(stage)

        with cgroups() as inner:
            with Program.running(inner[0]) as container, Program.running(inner[1]) as outsider:
                asyncio.run(story())

    # Not functools.wraps: pytest would take the argument for a fixture.
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
