"""The program ssh(1) of this computer, and what its configuration says of a server.

Rules: the person's configuration decides, and what is told on the command line beside it is only
what a connection without a person needs: it asks nothing, holds no terminal, opens no forward that
we did not ask for. The host keys are checked as the person has configured; where that is "ask",
which needs a person, an unknown key is refused. A faster cipher is put first where nobody has
chosen one (`../../docs/performance.md` has the figures).

Limits: needs a client with control sockets, which that of Windows has not.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Mapping
from typing import Final

from desktop.machines.process import ChildProcess
from desktop.machines.shell import Completed, ShellError, ShellTrouble, completed
from desktop.machines.ssh_destination import SshDestination
from desktop.programs import find_program

__all__ = [
    "SshClient",
    "environment",
    "is_installed",
    "person_command",
    "run_client",
    "start_client",
]

PROGRAM: Final = "ssh"
FAST_CIPHER: Final = "aes128-gcm@openssh.com"
CONNECT_SECONDS: Final = 10
"""For the TCP connection, and for the server's first words, unless it is configured."""
ALIVE_SECONDS: Final = 5
ALIVE_COUNT: Final = 3
"""A server that does not answer so many questions, so many seconds apart, is gone."""

UNATTENDED: Final = {
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    "ControlPersist": "no",
    "ExitOnForwardFailure": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "ERROR",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": str(ALIVE_COUNT),
    "ServerAliveInterval": str(ALIVE_SECONDS),
}
"""What a connection needs that no person attends (ssh_config(5))."""
NEWER: Final = {"forkafterauthentication": "no", "sessiontype": "default", "stdinnull": "no"}
"""The same, of clients since 8.7: older ones take them for mistakes."""


def is_installed() -> bool:
    """True where this computer has a client that we can use."""
    return hasattr(socket, "AF_UNIX") and find_program(PROGRAM) is not None


def environment() -> dict[str, str]:
    """That of this process, which has the way to the person's keys; its words in English."""
    return {**os.environ, "LC_ALL": "C"}


def person_command(destination: SshDestination, *command: str) -> str:
    """What a person types to log in there."""
    return shlex.join([PROGRAM, *destination.arguments, destination.host, *command])


class SshClient:
    """The client for one server; its configuration is read at `look`."""

    def __init__(self, destination: SshDestination) -> None:
        self.destination = destination
        self.configured: Mapping[str, str] = {}
        self._ciphers = ""

    async def look(self) -> None:
        """Read what is configured. Raises ShellError."""
        place = self.destination
        self.configured = await _configuration(*place.arguments, "--", place.host)
        usual = await _configuration("-F", "none", "--", "any")
        names = usual.get("ciphers", "").split(",")
        is_chosen = self.configured.get("ciphers") != usual.get("ciphers")
        if not is_chosen and FAST_CIPHER in names:
            self._ciphers = ",".join(sorted(names, key=lambda name: name != FAST_CIPHER))

    @property
    def host(self) -> str:
        """The server's name or address."""
        return self.configured.get("hostname", self.destination.host)

    @property
    def port(self) -> int:
        """The server's port."""
        return int(self.configured.get("port", "22"))

    @property
    def user(self) -> str:
        """As whom it logs in."""
        return self.configured.get("user", self.destination.user)

    @property
    def known_hosts(self) -> str:
        """The file to which the keys of servers are added."""
        return self.configured.get("userknownhostsfile", "~/.ssh/known_hosts").split(" ")[0]

    @property
    def is_direct(self) -> bool:
        """False if the way leads through something else."""
        return all(
            self.configured.get(option, "none") == "none"
            for option in ("proxycommand", "proxyjump")
        )

    @property
    def own_ports(self) -> frozenset[tuple[str, int]]:
        """(protocol, port) of this computer that lead to the server."""
        is_here = self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"
        return frozenset({("tcp", self.port)} if is_here and self.is_direct else ())

    def connecting(self, control: str, command: str) -> list[str]:
        """A new connection, whose control socket will be `control`."""
        options = {**UNATTENDED, **self._options()}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        place = self.destination
        return [
            *(PROGRAM, "-M", "-S", control, *words),
            *(*place.arguments, "--", place.host, command),
        ]

    def _options(self) -> dict[str, str]:
        options = {name: value for name, value in NEWER.items() if name in self.configured}
        if self.configured.get("connecttimeout", "none") in ("none", "0"):
            options["ConnectTimeout"] = str(CONNECT_SECONDS)
        if self.configured.get("stricthostkeychecking") == "ask":
            options["StrictHostKeyChecking"] = "yes"
        if self._ciphers:
            options["Ciphers"] = self._ciphers
        return options

    @staticmethod
    def through(control: str, *words: str) -> list[str]:
        """A client of an existing connection; should that be gone, it makes none of its own."""
        options = ("-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "LogLevel=ERROR")
        no_other_way = ("-o", "ProxyCommand=false")
        return [PROGRAM, "-F", "none", "-S", control, "-T", *options, *no_other_way, *words]


async def run_client(argv: list[str]) -> Completed:
    """Run ssh(1) to its end. Raises ShellError if it is not installed."""
    return await completed(await start_client(argv), b"")


async def start_client(argv: list[str]) -> ChildProcess:
    """Start ssh(1). Raises ShellError if it is not installed."""
    try:
        return await ChildProcess.start(argv, environment=environment())
    except FileNotFoundError as error:
        raise ShellError(
            ShellTrouble.NOT_INSTALLED,
            "the OpenSSH client is not installed",
            "sudo apt-get install openssh-client",
        ) from error


async def _configuration(*arguments: str) -> Mapping[str, str]:
    """What ssh(1) would go by, by names in lower case; of several of a kind, the last."""
    done = await run_client([PROGRAM, "-G", *arguments])
    if done.status:
        said = done.errors.decode(errors="replace").strip()
        raise ShellError(
            ShellTrouble.FAILED,
            f"ssh cannot read its configuration: {said}",
            "correct the file and the line that it names",
        )
    lines = done.output.decode(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}
