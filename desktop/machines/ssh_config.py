"""The way to a machine that a person's SSH configuration describes, for where ssh(1) is not there.

    SshDestination + ~/.ssh/config + /etc/ssh/ssh_config ─▶ hops, the machine's the last

Rules: as ssh_config(5) says: the first value found counts, that of the person before that of the
computer; a file that is given is read instead of both. `Include` is followed. What a destination
says itself (user, port) comes first of all. `StrictHostKeyChecking no` is heeded for addresses of
this very computer only, where virtual machines with throw-away keys are reached.

Limits: of the options, those in `Hop` are heeded. An included file's `Host` blocks count also where
the block that includes them does not apply. Identities on cards and of authenticators (FIDO) need
an agent, as does `IdentityAgent`: only that of SSH_AUTH_SOCK is asked.

Counterparts: `paramiko/connection.py` goes the way, `paramiko/login.py` shows the identities.
"""

from __future__ import annotations

import contextlib
import getpass
import glob
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import paramiko

from desktop.errors import UsageError
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_destination import SshDestination

__all__ = ["Hop", "way_to"]

SSH_PORT: Final = 22
COMPUTERS_FOLDER: Final = Path("/etc/ssh")
MOST_NESTED: Final = 16
"""Files that include one another, as in OpenSSH's readconf.c."""
MOST_HOPS: Final = 8
_URI: Final = re.compile(r"^ssh://|/$")
"""A jump may be written as one (ssh_config(5), ProxyJump)."""

IDENTITIES: Final = ("id_rsa", "id_ecdsa", "id_ed25519")
"""In ~/.ssh, where none are named (ssh_config(5), IdentityFile); paramiko knows no others."""
KNOWN_HOSTS: Final = ("known_hosts", "known_hosts2")
COMPUTERS_KNOWN_HOSTS: Final = ("ssh_known_hosts", "ssh_known_hosts2")


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way.

    Attributes:
        host, port: where it is dialled, from the hop before.
        known_as: its name in the files of known hosts, if it is not `host` and `port`.
        identities: files of private keys; `only_those` of them, or of the agent's keys.
        has_named_identities: the configuration names them; otherwise they need not be there.
        trusts_any_key: there is nothing to check its key against.
        proxy_command: what is run to reach it, instead of dialling; only of the first.
        methods: ways to log in that the configuration allows.
        may_ask: False where the configuration says `BatchMode yes`.
    """

    host: str
    port: int = SSH_PORT
    user: str = ""
    known_as: str = ""
    identities: tuple[Path, ...] = ()
    has_named_identities: bool = False
    only_those: bool = False
    uses_agent: bool = True
    known_hosts: tuple[Path, ...] = ()
    trusts_any_key: bool = False
    proxy_command: str = ""
    connect_seconds: float | None = None
    methods: frozenset[str] = field(
        default=frozenset({"publickey", "keyboard-interactive", "password"})
    )
    may_ask: bool = True

    @property
    def is_here(self) -> bool:
        """Whether it is dialled at an address of this very computer."""
        with contextlib.suppress(ValueError):
            return not self.proxy_command and ip_address(self.host).is_loopback
        return not self.proxy_command and self.host == "localhost"


def way_to(
    destination: SshDestination, *, home: Path | None = None, computer: Path = COMPUTERS_FOLDER
) -> list[Hop]:
    """The hops to a server, itself the last. Raises ShellError."""
    file = Path(destination.config) if destination.config else None
    config = _Config(file, (home or Path.home()) / ".ssh", computer)
    *jumps, last = config.way(destination.host, destination.user, destination.port)
    if jumps:
        last = replace(last, trusts_any_key=False)
    if destination.identity:
        named = (Path(destination.identity),)
        last = replace(last, identities=named, has_named_identities=True, only_those=True)
    return [*jumps, replace(last, trusts_any_key=last.trusts_any_key or destination.is_own)]


class _Config:
    """The files; read when made. Raises ShellError."""

    def __init__(self, file: Path | None, folder: Path, computer: Path) -> None:
        self._folder = folder
        self._computer = computer
        lines = list(self._lines(file))
        try:
            self._parsed = paramiko.SSHConfig.from_text("\n".join(lines))
        except (paramiko.ConfigParseError, ValueError) as error:
            raise _unusable(str(error)) from error

    def _lines(self, file: Path | None) -> Iterator[str]:
        if file is not None:
            if not file.is_file():
                raise _unusable(f"{file} is not there")
            yield from _expanded(file, self._folder, "Host *", 0)
            return
        yield from _expanded(self._folder / "config", self._folder, "Host *", 0)
        yield "Host *"
        yield from _expanded(self._computer / "ssh_config", self._computer, "Host *", 0)

    def way(self, host: str, user: str, port: int, after: int = 0) -> list[Hop]:
        """See `way_to`; `after` so many servers whose way leads over this one."""
        if after >= MOST_HOPS:
            raise _unusable(f"more than {MOST_HOPS} jumps one after the other")
        options = self._options(host)
        hop = self._hop(options, host, user, port)
        jumps = _jumps(options.get("proxyjump") or "", hop)
        if not jumps:
            return [hop]
        first, *others = jumps
        way = self.way(first.host, first.user, first.port, after + 1)
        way += [
            self._hop(self._options(each.host), each.host, each.user, each.port) for each in others
        ]
        return [*way, hop]

    def _options(self, host: str) -> Mapping[str, str]:
        try:
            return self._parsed.lookup(host)
        except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, ValueError) as error:
            raise _unusable(str(error)) from error

    def _hop(self, options: Mapping[str, str], host: str, user: str, port: int) -> Hop:
        named = [str(each) for each in options.get("identityfile", ())]
        identities = [_path(each) for each in named if each.lower() != "none"]
        usual = [] if named else [self._folder / name for name in IDENTITIES]
        checks = options.get("stricthostkeychecking", "").lower()
        jumps = options.get("proxyjump", "none").lower() != "none"
        hop = Hop(
            host=options.get("hostname", host),
            port=port or _number(options, "port") or SSH_PORT,
            user=user or options.get("user") or getpass.getuser(),
            known_as=options.get("hostkeyalias", ""),
            identities=tuple(identities or usual),
            has_named_identities=bool(named),
            only_those=_is_yes(options, "identitiesonly"),
            uses_agent=options.get("identityagent", "").lower() != "none",
            known_hosts=self._known_hosts(options),
            proxy_command="" if jumps else options.get("proxycommand") or "",
            connect_seconds=_number(options, "connecttimeout"),
            methods=_methods(options),
            may_ask=not _is_yes(options, "batchmode"),
        )
        return replace(hop, trusts_any_key=checks in ("no", "off") and hop.is_here and not jumps)

    def _known_hosts(self, options: Mapping[str, str]) -> tuple[Path, ...]:
        own = options.get("userknownhostsfile")
        computers = options.get("globalknownhostsfile")
        files = _paths(own) if own else [self._folder / name for name in KNOWN_HOSTS]
        files += (
            _paths(computers)
            if computers
            else [self._computer / name for name in COMPUTERS_KNOWN_HOSTS]
        )
        return tuple(files)


def _expanded(file: Path, folder: Path, block: str, depth: int) -> Iterator[str]:
    """The lines of a file and of those that it includes; one that cannot be read has none."""
    if depth >= MOST_NESTED:
        raise _unusable(f"{file} is included by itself, or too deep")
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word.lower() in ("host", "match"):
            block = line
        if word.lower() != "include":
            yield line
            continue
        for pattern in _words(rest):
            for included in sorted(glob.glob(str(folder / _path(pattern)))):
                yield from _expanded(Path(included), folder, block, depth + 1)
                yield block


def _jumps(text: str, target: Hop) -> list[SshDestination]:
    """Servers on the way; one that is the target itself is none, as ssh(1) has it."""
    if not text or text.lower() == "none":
        return []
    try:
        jumps = [SshDestination.parse(_URI.sub("", each.strip())) for each in text.split(",")]
    except UsageError as error:
        raise _unusable(f"ProxyJump: {error}") from error
    ours = (target.host, target.user, target.port)
    return [
        each
        for each in jumps
        if (each.host, each.user or target.user, each.port or SSH_PORT) != ours
    ]


def _methods(options: Mapping[str, str]) -> frozenset[str]:
    keyboard = "kbdinteractiveauthentication"
    switches = {
        "publickey": options.get("pubkeyauthentication", "yes"),
        "keyboard-interactive": options.get(keyboard, "yes"),
        "password": options.get("passwordauthentication", "yes"),
    }
    return frozenset(method for method, value in switches.items() if value.lower() != "no")


def _number(options: Mapping[str, str], name: str) -> int | None:
    value = options.get(name, "")
    if not value or value == "none":
        return None
    if not value.isdigit():
        raise _unusable(f"{name} is {value!r}, not a number")
    return int(value)


def _is_yes(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "no").lower() == "yes"


def _paths(text: str) -> list[Path]:
    return [_path(word) for word in _words(text) if word.lower() != "none"]


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~ of a user whom nobody knows
        raise _unusable(f"{text!r}: {error}") from error


def _words(text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _unusable(f"{text!r}: {error}") from error


def _unusable(why: str) -> ShellError:
    return ShellError(
        ShellTrouble.FAILED,
        f"the SSH configuration cannot be used: {why}",
        "correct ~/.ssh/config; `ssh -G HOST` shows how ssh reads it",
    )
