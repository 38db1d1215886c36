"""The steps to a log-in by OpenSSH, as `samehost machine doctor` takes them.

Rules: the name and the connection are looked at by ourselves, where the way is a direct one, since
ssh(1) tells them apart by words only; then the real thing follows, and says which part it was.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from desktop.machines.examination import Step
from desktop.machines.openssh.client import SshClient
from desktop.machines.shell import ShellError, ShellTrouble
from link.dial import error_words

__all__ = ["steps_to"]

CONNECT_SECONDS: Final = 10.0
LONGEST_GREETING: Final = 255
"""Bytes of an SSH server's first line (RFC 4253, 4.2)."""
NOT_DIRECT: Final = "the way leads through another host, and is seen at the log-in"
OF_THE_KEY: Final = {ShellTrouble.UNKNOWN_HOST_KEY, ShellTrouble.HOST_KEY_CHANGED}


def steps_to(client: SshClient, connect: Callable[[], Awaitable[None]]) -> list[Step]:
    """Steps until `connect` has logged in; it raises ShellError."""
    way = _Way(client, connect)
    return [
        Step("ssh", way.configuration, is_way=True),
        Step("name", way.name, is_way=True),
        Step("connection", way.connection, is_way=True),
        Step("host key", way.host_key, is_way=True),
        Step("log-in", way.log_in, is_way=True),
    ]


class _Way:
    def __init__(self, client: SshClient, connect: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._connect = connect
        self._refusal: ShellError | None = None

    async def configuration(self) -> str:
        """What ssh(1) will do."""
        client = self._client
        await client.look()
        through = "" if client.is_direct else ", through another host"
        return f"{client.host} port {client.port} as {client.user}{through}"

    async def name(self) -> str:
        """The host's addresses."""
        client = self._client
        if not client.is_direct:
            return NOT_DIRECT
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(client.host, client.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ShellError(
                ShellTrouble.UNREACHABLE,
                f"there is no host of the name {client.host} ({error.strerror or error})",
                f"correct the name: {client.destination}",
            ) from error
        return ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connection(self) -> str:
        """Whether an SSH server answers, by its first line."""
        client = self._client
        if not client.is_direct:
            return NOT_DIRECT
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                greeting = await _greeting(client.host, client.port)
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            words = error_words(number) if number else str(error) or "no answer in time"
            raise ShellError(
                ShellTrouble.UNREACHABLE,
                f"no connection to {client.host} port {client.port}: {words}",
                f"is the machine on, does sshd run there, is {client.port} its port?",
            ) from error
        return greeting

    async def host_key(self) -> str:
        """Log in; what is wrong with the key is said here, all else in the next step."""
        try:
            await self._connect()
        except ShellError as error:
            if error.trouble in OF_THE_KEY:
                raise
            self._refusal = error
            return "is not refused"
        return f"is known: {self._client.known_hosts}"

    async def log_in(self) -> str:
        """How that went."""
        if self._refusal is not None:
            raise self._refusal
        return f"as {self._client.user}, and programs run"


async def _greeting(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_GREETING)
    try:
        line = await reader.readline()
    finally:
        writer.close()
    if not line.startswith(b"SSH-"):
        raise ValueError(f"what answers there is no SSH server: {line[:80]!r}")
    return line.decode(errors="replace").strip()
