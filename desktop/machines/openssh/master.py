"""The one connection to a server: an ssh(1) of our own with a control socket, in the foreground.

    connect ─▶ ssh -M … 'echo; cat' ─▶ the echo has come: logged in ─▶ clients come by the socket

Rules: it lives as long as its standard input and what goes through it: if this process is killed,
the input ends, and with it the program over there, the connection and its socket. Whoever has a
master closes it. What it says while it lives goes to the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from desktop.machines.launch import read_line
from desktop.machines.openssh.client import SshClient, start_client
from desktop.machines.openssh.complaints import as_error
from desktop.machines.openssh.folder import SocketFolder
from desktop.machines.process import ChildProcess
from desktop.machines.quoting import login_command
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.tasks import uninterrupted

__all__ = ["LOG_IN_SECONDS", "SSH_FAILED", "Master"]

LOG_IN_SECONDS: Final = 30.0
"""How long it may take until the server has run a first program."""
MARK: Final = b"samehost-logged-in"
FIRST_PROGRAM: Final = f"echo {MARK.decode()}; exec cat >/dev/null"
BANNER_LIMIT: Final = 1 << 16
"""Bytes that a log-in may print before the first program runs."""
END_SECONDS: Final = 2.0
"""How long it may take to end once its input has ended."""
SHOWN_BYTES: Final = 4096
SSH_FAILED: Final = 255
"""Exit status of ssh(1) itself; all others are those of the program over there."""

log = logging.getLogger(__name__)


class Master:
    """One connection; made by `connect`."""

    def __init__(self, client: SshClient, process: ChildProcess, folder: SocketFolder) -> None:
        self.client = client
        self.folder = folder
        self._process = process
        self._talk = asyncio.get_running_loop().create_task(
            process.log_errors(log, f"ssh to {client.destination}"),
            name=f"words of ssh to {client.host}",
        )

    @classmethod
    async def connect(cls, client: SshClient, folder: SocketFolder) -> Master:
        """Log in. Raises ShellError; then, and if cancelled, no process is left."""
        command = login_command(FIRST_PROGRAM)
        process = await start_client(client.connecting(folder.control, command))
        try:
            async with asyncio.timeout(LOG_IN_SECONDS):
                printed = await _until_logged_in(process)
            if printed is not None:
                raise await _why(client, process, printed)
        except TimeoutError as error:
            process.kill()
            await uninterrupted(process.wait())
            said = (await process.errors.read(SHOWN_BYTES)).decode(errors="replace")
            raise as_error(client, f"{said}\nlog-in timed out", 0) from error
        except BaseException:
            process.kill()
            await uninterrupted(process.wait())
            raise
        return cls(client, process, folder)

    @property
    def is_alive(self) -> bool:
        """False once the connection is gone, or nobody can use it any more."""
        return self._process.returncode is None and os.path.lexists(self.control)

    @property
    def control(self) -> str:
        """The path of its control socket."""
        return self.folder.control

    async def aclose(self) -> None:
        """Log out. Must run to its end: see `desktop.tasks.uninterrupted`."""
        self._process.end_input()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._talk


async def _until_logged_in(process: ChildProcess) -> bytes | None:
    """Wait for the mark, whatever is printed before it; what was, if the mark does not come."""
    printed = b""
    while len(printed) < BANNER_LIMIT:
        line = await read_line(process.stream)
        if MARK in line:
            return None
        printed += line
        if not line.endswith(b"\n"):
            break
    return printed


async def _why(client: SshClient, process: ChildProcess, printed: bytes) -> ShellError:
    """It ended, or printed and printed."""
    process.end_input()
    try:
        async with asyncio.timeout(END_SECONDS):
            status = await process.wait()
    except TimeoutError:
        status = 0
    process.kill()
    await process.wait()
    said = (await process.errors.read(SHOWN_BYTES)).decode(errors="replace")
    if status == SSH_FAILED or status < 0:
        return as_error(client, said, status)
    words = (printed.decode(errors="replace") + said).strip()[-SHOWN_BYTES:]
    return ShellError(
        ShellTrouble.REFUSED,
        f"{client.host} lets {client.user} log in, but not run programs: {words or 'no words'}",
        "the user needs a log-in shell, and sshd no ForceCommand for it",
    )
