"""Programs and streams over OpenSSH: see `Shell`.

Rules: one connection for all of it, made when it is needed, and anew once it is gone. Its end is
the end of all that went through it, at once.

Limits: end-of-file is carried one way at a time, a reset is not. sshd_config(5) may allow fewer
programs at once (MaxSessions, 10 by default); streams do not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from desktop.machines.doors import OpenDoor, StdioOrder, TcpDoor, TcpOrder, UnixDoor, UnixOrder
from desktop.machines.examination import Step
from desktop.machines.openssh.client import SshClient, run_client, start_client
from desktop.machines.openssh.complaints import last_line
from desktop.machines.openssh.folder import SocketFolder
from desktop.machines.openssh.master import SSH_FAILED, Master
from desktop.machines.openssh.steps import steps_to
from desktop.machines.process import Process
from desktop.machines.quoting import login_command
from desktop.machines.shell import RUN_SECONDS, Completed, Shell, ShellError, ShellTrouble
from desktop.machines.ssh_destination import SshDestination
from desktop.tasks import uninterrupted
from desktop.transports.openssh import OpenSshTransport
from desktop.transports.transport import Transport, TransportError

__all__ = ["RUNTIME_NAME", "OpenSshShell"]

ANYTHING: Final = "machine"
"""Where a client of the control socket says that it goes; it does not matter."""
RUNTIME_NAME: Final = "ssh"
"""Folder for sockets, below that of this Samehost."""
CONTROL_SECONDS: Final = 5.0
"""How long the connection may take to open or close a socket on this computer."""

log = logging.getLogger(__name__)


class OpenSshShell(Shell):
    """See the module. `runtime` is where sockets may be."""

    name = "openssh"
    doors = (UnixOrder(), TcpOrder("127.0.0.1", carries_reset=False), StdioOrder())

    def __init__(self, destination: SshDestination, runtime: Path) -> None:
        self.destination = destination
        self._parent = runtime / RUNTIME_NAME
        self._master: Master | None = None
        self._connecting = asyncio.Lock()

    async def run(
        self, script: str, feed: bytes = b"", *, seconds: float = RUN_SECONDS
    ) -> Completed:
        """See `Shell`. A connection over which nothing comes in time is given up."""
        try:
            done = await super().run(script, feed, seconds=seconds)
        except ShellError as error:
            if error.trouble is ShellTrouble.TIMED_OUT:
                await self.aclose()
            raise
        if done.status == SSH_FAILED and not self.is_connected:
            said = last_line(done.errors.decode(errors="replace"))
            raise ShellError(
                ShellTrouble.UNREACHABLE,
                f"the connection to {self.destination} was lost: {said}",
                "it is made again when it is needed",
            )
        return done

    async def start(self, script: str) -> Process:
        """See `Shell`."""
        master = await self._connected()
        argv = SshClient.through(master.control, "--", ANYTHING, login_command(script))
        return await start_client(argv)

    async def forward(self, door: OpenDoor) -> Transport:
        """See `Shell`."""
        if isinstance(door, UnixDoor):
            target = door.path
        elif isinstance(door, TcpDoor):
            target = f"127.0.0.1:{door.ports[0]}"
        else:
            raise TransportError(f"OpenSSH cannot forward to {door}")
        master = await self._connected()
        local = master.folder.new()
        await _control(master, "forward", f"{local}:{target}")

        async def release() -> None:
            await uninterrupted(_end_forward(master, local, target))

        return OpenSshTransport(local, release)

    @property
    def is_connected(self) -> bool:
        """True while the connection stands, as far as is known."""
        return self._master is not None and self._master.is_alive

    async def connect(self) -> None:
        """See `Shell`."""
        await self._connected()

    async def _connected(self) -> Master:
        """The connection, made now if there is none. Raises ShellError."""
        async with self._connecting:
            if self._master is not None and self._master.is_alive:
                return self._master
            await uninterrupted(self._disconnect())
            client = SshClient(self.destination)
            await client.look()
            folder = SocketFolder(self._parent)
            try:
                self._master = await Master.connect(client, folder)
                self.own_ports = client.own_ports
            except BaseException:
                folder.remove()
                raise
            return self._master

    def steps(self) -> list[Step]:
        """See `Shell`."""
        return steps_to(SshClient(self.destination), self.connect)

    async def aclose(self) -> None:
        """See `Shell`."""
        async with self._connecting:
            await uninterrupted(self._disconnect())

    async def _disconnect(self) -> None:
        master, self._master = self._master, None
        if master is not None:
            await master.aclose()
            master.folder.remove()


async def _control(master: Master, action: str, forward: str) -> None:
    """Have the connection open or close a forward. Raises TransportError."""
    argv = SshClient.through(master.control, "-O", action, "-L", forward, "--", ANYTHING)
    try:
        async with asyncio.timeout(CONTROL_SECONDS):
            done = await run_client(argv)
    except TimeoutError as error:
        raise TransportError(f"ssh does not {action} {forward} in time") from error
    if done.status:
        said = last_line(done.errors.decode(errors="replace"))
        raise TransportError(f"ssh does not {action} {forward}: {said}")


async def _end_forward(master: Master, local: str, target: str) -> None:
    if master.is_alive:
        try:
            await _control(master, "cancel", f"{local}:{target}")
        except TransportError as error:
            log.debug("%s", error)  # the connection has ended meanwhile, and the forward with it
    with contextlib.suppress(FileNotFoundError):
        os.unlink(local)
