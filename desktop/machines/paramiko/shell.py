"""Programs in a machine over SSH, by paramiko: for where OpenSSH's client is not there.

    ssh_config ─▶ way ─▶ dial ─▶ Connection ─┬─ session channel ──────▶ ChannelProcess
                                             └─ direct-tcpip channel ─▶ ParamikoTransport

Rules: see `Shell`. What paramiko does blocks, and so is done in threads; bytes are moved by one
(`pump.py`). After `aclose` none of them is left. Whoever can be asked is asked for what only a
person knows (`desktop/prompter.py`); what let us in is kept in memory as long as the shell is, so
that a lost connection is made anew without asking again.

Limits: see `desktop/transports/paramiko.py` and `../ssh_config.py`. sshd_config(5) may allow fewer
programs at once (MaxSessions, 10 by default); streams do not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from typing import Final

import paramiko

from desktop.machines.doors import OpenDoor, StdioOrder, TcpDoor, TcpOrder
from desktop.machines.examination import Step
from desktop.machines.paramiko.connection import CONNECT_SECONDS, Connection, as_shell_error
from desktop.machines.paramiko.login import Answers
from desktop.machines.paramiko.process import ChannelProcess
from desktop.machines.paramiko.pump import CONNECTION_ENDED, Pump
from desktop.machines.process import ChildProcess, Process
from desktop.machines.quoting import login_command
from desktop.machines.shell import Shell, ShellError, ShellTrouble
from desktop.machines.ssh_config import Hop, way_to
from desktop.machines.ssh_destination import SshDestination
from desktop.prompter import NobodyToAskError, Prompter, prompter
from desktop.tasks import uninterrupted
from desktop.threads import Threads
from desktop.transports.paramiko import LIMITS, ParamikoTransport
from desktop.transports.transport import Transport, TransportError
from link.dial import tune

__all__ = ["ParamikoShell"]

OPEN_SECONDS: Final = 5.0
"""For a stream to an agent to be opened."""
HOME: Final = "127.0.0.1"

log = logging.getLogger(__name__)


class ParamikoShell(Shell):
    """See the module."""

    name = "paramiko"
    doors = (TcpOrder(HOME, peer=HOME, carries_reset=False), StdioOrder())

    def __init__(self, destination: SshDestination) -> None:
        self.destination = destination
        self._line: _Line | None = None
        self._connecting = asyncio.Lock()
        self._threads = Threads()
        self._answers = Answers()

    async def start(self, script: str) -> Process:
        """See `Shell`."""
        line = await self._connected()
        command = login_command(script)
        try:
            channel = await self._threads.run(
                "ssh: start of a program", lambda: _begun(line.connection, command), _close
            )
            return await _process(channel, line.pump)
        except CONNECTION_ENDED as error:
            raise as_shell_error(_as_error(error), line.way[-1]) from error

    async def forward(self, door: OpenDoor) -> Transport:
        """See `Shell`."""
        if not isinstance(door, TcpDoor):
            raise TransportError(f"paramiko cannot forward to {door}")
        line = await self._connected()
        ports = itertools.cycle(door.ports)

        async def dial() -> socket.socket:
            return await self._stream(line, next(ports))

        return ParamikoTransport(dial)

    async def connect(self) -> None:
        """See `Shell`."""
        await self._connected()

    def steps(self) -> list[Step]:
        """See `Shell`."""

        async def way() -> str:
            hops = await self._threads.run("ssh: configuration", lambda: way_to(self.destination))
            return ", then ".join(f"{hop.host} port {hop.port} as {hop.user}" for hop in hops)

        async def log_in() -> str:
            await self._connected()
            return f"by paramiko: {LIMITS}"

        return [Step("ssh", way, is_way=True), Step("log-in", log_in, is_way=True)]

    async def aclose(self) -> None:
        """See `Shell`."""
        async with self._connecting:
            line, self._line = self._line, None
            if line is not None:
                await uninterrupted(line.aclose(self._threads))
        await uninterrupted(self._threads.aclose())

    async def _connected(self) -> _Line:
        """The connection, made now if there is none. Raises ShellError."""
        async with self._connecting:
            if self._line is not None and self._line.connection.is_alive:
                return self._line
            line, self._line = self._line, None
            if line is not None:
                await uninterrupted(line.aclose(self._threads))
            self._line = await self._connect()
            return self._line

    async def _connect(self) -> _Line:
        way = await self._threads.run("ssh: configuration", lambda: way_to(self.destination))
        proxy, sock = await _first_socket(way[0])
        if way[0].is_here:
            self.own_ports = frozenset({("tcp", way[0].port)})
        self._answers.begin()
        questions = _Questions(prompter.get())
        connection = Connection(way, sock, self._answers.asking(questions.ask))
        line = _Line(way, connection, proxy, Pump(f"ssh: {way[-1].host}"))
        try:
            await self._threads.run("ssh: log-in", connection.open)
        except BaseException as error:
            questions.cancel()
            if _is_refusal(error):
                self._answers.forget()
            await uninterrupted(line.aclose(self._threads))
            raise
        return line

    async def _stream(self, line: _Line, port: int) -> socket.socket:
        def opened() -> paramiko.Channel:
            machine = line.connection.machine
            return machine.open_channel(
                "direct-tcpip", (HOME, port), (HOME, 0), timeout=OPEN_SECONDS
            )

        try:
            channel = await self._threads.run("ssh: a stream", opened, _close)
            return _carried(channel, line.pump)
        except ShellError as error:
            raise TransportError(error.message) from error
        except CONNECTION_ENDED as error:
            raise TransportError(f"no stream to port {port}: {_as_error(error)}") from error


class _Line:
    """A connection, and what belongs to it."""

    def __init__(
        self, way: list[Hop], connection: Connection, proxy: ChildProcess | None, pump: Pump
    ) -> None:
        self.way = way
        self.connection = connection
        self.pump = pump
        self._proxy = proxy

    async def aclose(self, threads: Threads) -> None:
        """End all of it."""

        def end() -> None:
            self.connection.close()
            self.pump.close()

        await threads.run("ssh: end", end)
        if self._proxy is not None:
            self._proxy.kill()
            await self._proxy.wait()


class _Questions:
    """What a thread asks a person, in the loop."""

    def __init__(self, person: Prompter | None) -> None:
        self._person = person
        self._loop = asyncio.get_running_loop()
        self._is_cancelled = False
        self._asking: asyncio.Future[object] | None = None

    def ask(self, question: str, is_secret: bool) -> str:
        """Called in the thread; blocks. Raises NobodyToAskError."""
        if self._person is None or self._is_cancelled:
            raise NobodyToAskError
        asking = self._ask(self._person, question, is_secret)
        try:
            return asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except asyncio.CancelledError as error:
            raise NobodyToAskError from error

    def cancel(self) -> None:
        """Ask no more."""
        self._is_cancelled = True
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, person: Prompter, question: str, is_secret: bool) -> str:
        self._asking = asyncio.current_task()
        return await person.ask(question, is_secret=is_secret)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, ShellError) and error.trouble is ShellTrouble.AUTHENTICATION_FAILED


def _begun(connection: Connection, command: str) -> paramiko.Channel:
    channel = connection.machine.open_session()
    try:
        channel.exec_command(command)
    except BaseException:
        channel.close()
        raise
    return channel


def _carried(channel: paramiko.Channel, pump: Pump) -> socket.socket:
    try:
        return pump.carry(channel)
    except OSError:
        _close(channel)
        raise


async def _process(channel: paramiko.Channel, pump: Pump) -> ChannelProcess:
    try:
        return await ChannelProcess.start(channel, pump)
    except BaseException:
        _close(channel)
        raise


def _close(channel: paramiko.Channel) -> None:
    with contextlib.suppress(*CONNECTION_ENDED):
        channel.close()


def _as_error(error: Exception) -> Exception:
    """With words, where paramiko has none."""
    return error if str(error) else EOFError("the connection was lost")


async def _first_socket(hop: Hop) -> tuple[ChildProcess | None, socket.socket]:
    """What leads to the first server: a connection, or a program that has one."""
    try:
        if hop.proxy_command:
            proxy = await ChildProcess.start(["sh", "-c", f"exec {hop.proxy_command}"])
            return proxy, proxy.stream
        async with asyncio.timeout(hop.connect_seconds or CONNECT_SECONDS):
            return None, await _dial(hop.host, hop.port)
    except OSError as error:
        raise as_shell_error(error, hop) from error


async def _dial(host: str, port: int) -> socket.socket:
    """A connection without Nagle's delay, which costs paramiko 43 ms per channel."""
    loop = asyncio.get_running_loop()
    problem = OSError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            tune(sock)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem
