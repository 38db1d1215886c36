"""Ways to open streams, each with its far side: what `test_transports.py` is told about.

A way is an async context manager: a transport, and a queue that gets the far end of each stream.
For one that needs another computer, the far end is brought back to this process.

Rules: a way is in WAYS with its name; one that cannot be here has a reason to be skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from desktop.machines.doors import TcpDoor, UnixDoor
from desktop.machines.openssh import OpenSshShell
from desktop.machines.paramiko import ParamikoShell
from desktop.machines.process import ChildProcess
from desktop.transports.hyperv import HypervTransport, service_id
from desktop.transports.memory import MemoryTransport
from desktop.transports.stdio import StdioTransport
from desktop.transports.tcp import TcpTransport
from desktop.transports.transport import Transport
from desktop.transports.unix import UnixTransport
from desktop.transports.vsock import VsockTransport
from link.acceptor import BACKLOG, Acceptor, listen_tcp
from link.mux.pipe import DescriptorPipe, Pipe, SocketPipe
from link.mux.pump import MuxPump
from link.mux.signals import open_signals
from tests.fake_hyperv import FakeHyperv
from tests.integration.ssh_server import ssh_server
from tests.until import until

__all__ = [
    "VMADDR_CID_LOCAL",
    "WAYS",
    "Far",
    "Opened",
    "Program",
    "end_of",
    "program_with_streams",
    "require_vsock_loopback",
]

Far = asyncio.Queue[socket.socket]
Opened = Callable[[], AbstractAsyncContextManager[tuple[Transport, Far]]]

MACHINE: Final = "6b1a6c0e-8a3c-4f43-9d2c-0c1d5d8b9a10"
"""A Hyper-V id."""
SERVICE_PORT: Final = 5000

VSOCK_LOOPBACK: Final = Path("/sys/module/vsock_loopback")
VMADDR_CID_LOCAL: Final = 1
"""vsock(7); Python 3.11 has no name for it."""

CRUMBS: Final = """
import os, random, select, socket
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["AGENT"])
twins = {0: agent.fileno(), agent.fileno(): 1}
while twins:
    for source in select.select(list(twins), [], [])[0]:
        data = os.read(source, random.randint(1, 999))
        if not data:
            raise SystemExit
        while data:
            size = random.randint(1, 99)
            os.write(twins[source], data[:size])
            data = data[size:]
"""
"""Carries both directions in pieces of random sizes."""


@contextlib.asynccontextmanager
async def tcp() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    acceptor = Acceptor(listen_tcp("127.0.0.1", 0), far.put_nowait)
    try:
        yield TcpTransport(*acceptor.address), far
    finally:
        acceptor.close()


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    yield MemoryTransport(far.put_nowait), far


@contextlib.asynccontextmanager
async def unix() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    with TemporaryDirectory() as folder, contextlib.closing(_listen_unix(f"{folder}/s")) as server:
        with contextlib.closing(Acceptor(server, far.put_nowait)):
            yield UnixTransport(f"{folder}/s"), far


@contextlib.asynccontextmanager
async def openssh() -> AsyncIterator[tuple[Transport, Far]]:
    """Forwarded by a real sshd of this computer, to a Unix socket behind it."""
    far: Far = asyncio.Queue()
    with ssh_server() as sshd, TemporaryDirectory(prefix="sh-") as folder:
        shell = OpenSshShell(sshd.destination(), Path(folder))
        with contextlib.closing(_listen_unix(f"{folder}/s")) as server:
            with contextlib.closing(Acceptor(server, far.put_nowait)):
                yield await shell.forward(UnixDoor(f"{folder}/s")), far
        await shell.aclose()


@contextlib.asynccontextmanager
async def paramiko() -> AsyncIterator[tuple[Transport, Far]]:
    """Forwarded by a real sshd of this computer, to a port of its loopback."""
    far: Far = asyncio.Queue()
    with ssh_server() as sshd:
        shell = ParamikoShell(sshd.destination())
        with contextlib.closing(Acceptor(listen_tcp("127.0.0.1", 0), far.put_nowait)) as acceptor:
            yield await shell.forward(TcpDoor((acceptor.address[1],))), far
        await shell.aclose()


@contextlib.asynccontextmanager
async def stdio_socket() -> AsyncIterator[tuple[Transport, Far]]:
    """Both pumps in this process, over a socket pair."""
    far: Far = asyncio.Queue()
    with program_with_streams(far.put_nowait) as program:
        transport = StdioTransport(program)
        yield transport, far
    await end_of(transport)


@contextlib.asynccontextmanager
async def stdio_pipes() -> AsyncIterator[tuple[Transport, Far]]:
    """A program whose other ends are pipes, as of a shell's pipeline."""
    with TemporaryDirectory() as folder:
        to_agent, to_desktop = Path(folder, "to-agent"), Path(folder, "to-desktop")
        os.mkfifo(to_agent)
        os.mkfifo(to_desktop)
        script = f"cat < {to_desktop} & exec cat > {to_agent}"
        process = await ChildProcess.start(["sh", "-c", script])
        # Opened for both, so as not to wait for the other end; it is there when bytes come.
        source = os.open(to_agent, os.O_RDONLY | os.O_NONBLOCK)
        sink = os.open(to_desktop, os.O_RDWR | os.O_NONBLOCK)
        far: Far = asyncio.Queue()
        with _pump(DescriptorPipe(source, sink), far.put_nowait):
            transport = StdioTransport(process)
            yield transport, far
        process.kill()
        await process.wait()
        await end_of(transport)


@contextlib.asynccontextmanager
async def stdio_crumbs() -> AsyncIterator[tuple[Transport, Far]]:
    """A program that carries everything in small pieces."""
    with TemporaryDirectory() as folder, contextlib.closing(_listen_unix(f"{folder}/s")) as server:
        process = await ChildProcess.start(
            [sys.executable, "-I", "-c", CRUMBS], environment={"AGENT": f"{folder}/s"}
        )
        other, _ = await asyncio.get_running_loop().sock_accept(server)
        far: Far = asyncio.Queue()
        with _pump(SocketPipe(other), far.put_nowait):
            transport = StdioTransport(process)
            yield transport, far
        process.kill()
        await process.wait()
        await end_of(transport)


@contextlib.asynccontextmanager
async def vsock() -> AsyncIterator[tuple[Transport, Far]]:
    """Over the kernel's own loopback."""
    require_vsock_loopback()
    far: Far = asyncio.Queue()
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as server:
        server.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        server.listen(BACKLOG)
        server.setblocking(False)
        with contextlib.closing(Acceptor(server, far.put_nowait)):
            yield VsockTransport(VMADDR_CID_LOCAL, server.getsockname()[1]), far


@contextlib.asynccontextmanager
async def hyperv() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    with TemporaryDirectory() as folder:
        sockets = FakeHyperv(folder)
        with contextlib.closing(sockets.listen(MACHINE, service_id(SERVICE_PORT))) as server:
            with contextlib.closing(Acceptor(server, far.put_nowait)):
                yield HypervTransport(MACHINE, SERVICE_PORT, sockets), far


def require_vsock_loopback() -> None:
    """Skip the test where vsock does not lead back to this computer."""
    if not VSOCK_LOOPBACK.exists():
        pytest.skip("no vsock to oneself here: the kernel's module vsock_loopback is not loaded")


class Program:
    """A process as far as a transport looks at it."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream


async def end_of(transport: StdioTransport) -> None:
    """Until it has seen that its program has ended, and has freed all."""
    await until(lambda: transport._pump.is_closed)


@contextlib.contextmanager
def program_with_streams(adopt: Callable[[socket.socket], None]) -> Iterator[Program]:
    """One whose standard input and output carry streams, of which `adopt` gets the far ends."""
    near, other = socket.socketpair()
    with near, _pump(SocketPipe(other), adopt):
        yield Program(near)


@contextlib.contextmanager
def _pump(pipe: Pipe, adopt: Callable[[socket.socket], None]) -> Iterator[None]:
    """An agent's end of a pipe."""
    pump = MuxPump(pipe, open_signals(), opens=False, on_stream=adopt, on_end=lambda _reason: None)
    try:
        yield
    finally:
        pump.close()


def _listen_unix(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(BACKLOG)
    server.setblocking(False)
    return server


WAYS: Final[dict[str, Opened]] = {
    "tcp": tcp,
    "memory": memory,
    "unix": unix,
    "openssh": openssh,
    "paramiko": paramiko,
    "stdio_socket": stdio_socket,
    "stdio_pipes": stdio_pipes,
    "stdio_crumbs": stdio_crumbs,
    "vsock": vsock,
    "hyperv": hyperv,
}
