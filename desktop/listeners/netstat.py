"""Listeners by `netstat -anv`, where the kernel's own table is not understood (macOS).

    Proto Recv-Q Send-Q  Local Address  Foreign Address  (state)  rxbytes … pid epid …
    tcp4       0      0  127.0.0.1.80   *.*              LISTEN         0 …  522    0 …

Source: netstat(1) of macOS; Apple's network_cmds `netstat.tproj/inet.c` (protopr). A port follows
the last dot, `*` is the wildcard of the row's family, `tcp46` takes both. What follows the state
differs: to macOS 11 no counts of bytes, later these two, then `pid epid`, and of late
`process:pid`, with a name that may have spaces. The header says which.

Rules: the parser is pure, and passes over rows that it does not understand: an address too long for
its column is none. The program runs in a thread, for it takes much longer than the event loop
may stand still: a scan shows what the last run has found, the first one waits for it.
Limits: sockets have no handles here, so a listener is known by where it is and whose; which UDP
ports the kernel chose is guessed by their number. Counterpart: `macos.py` chooses.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from desktop.listeners.numbers import DYNAMIC_PORTS, Numbers
from desktop.listeners.tables import Entry
from link.listener import canonical_address

__all__ = ["COMMANDS", "Netstat", "NoTableError", "parse_netstat", "run_netstat"]

COMMANDS: Final = tuple(("/usr/sbin/netstat", "-anv", "-p", each) for each in ("tcp", "udp"))
SECONDS: Final = 10.0
"""It takes tens of milliseconds."""

_ROW: Final = re.compile(r"(tcp|udp)(4|6|46)\s+\d+\s+\d+\s+(\S+)\.(\d{1,5}|\*)\s+(\S+)\s+(\S.*)")
_NUMBER: Final = re.compile(r"\d{1,10}")
_OWNER: Final = re.compile(r".{0,64}?:(\d{1,10})(?:\s|$)")
_WILDCARDS: Final = {"4": "0.0.0.0", "6": "::", "46": "::"}
_LISTEN: Final = "LISTEN"


class NoTableError(ValueError):
    """The program printed no table."""


def parse_netstat(text: str, numbers: Numbers) -> list[Entry]:
    """The listeners of what it printed. Raises NoTableError."""
    lines = text.splitlines()
    columns = next((line for line in lines if line.startswith("Proto ")), None)
    if columns is None:
        raise NoTableError("netstat printed no header")
    pid_of = _pid_column(columns.split())
    return [entry for line in lines if (entry := _entry(line, pid_of, numbers)) is not None]


def _pid_column(names: list[str]) -> Callable[[str], int]:
    """How to find the process in what follows a row's state."""
    if "(state)" not in names:
        return lambda _rest: 0
    state = names.index("(state)")
    if "process:pid" in names:
        before = names.index("process:pid") - state - 1
        return lambda rest: _owner(rest, before)
    if "pid" in names:
        before = names.index("pid") - state - 1
        return lambda rest: _number(rest.split(None, before + 1), before)
    return lambda _rest: 0


def _number(words: list[str], at: int) -> int:
    match = _NUMBER.fullmatch(words[at]) if at < len(words) else None
    return int(match[0]) if match is not None else 0


def _owner(rest: str, before: int) -> int:
    words = rest.split(None, before)
    match = _OWNER.match(words[before]) if before < len(words) else None
    return int(match[1]) if match is not None else 0


def _entry(line: str, pid_of: Callable[[str], int], numbers: Numbers) -> Entry | None:
    match = _ROW.match(line)
    if match is None:
        return None
    protocol, family, host, port, foreign, rest = match.groups()
    if protocol == "tcp":
        state, _, rest = rest.partition(" ")
        if state != _LISTEN:
            return None
    address = _address(host, family)
    if address is None or foreign != "*.*" or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        return None
    pid = pid_of(rest)
    return Entry(
        protocol,
        address,
        int(port),
        v6only=not (family == "46" and address == "::"),
        cookie=numbers.of((protocol, family, address, int(port), pid)),
        pid=pid,
        is_chosen=protocol == "udp" and int(port) in DYNAMIC_PORTS,
    )


def _address(host: str, family: str) -> str | None:
    if host == "*":
        return _WILDCARDS[family]
    try:
        return canonical_address(host.partition("%")[0])
    except ValueError:
        return None


def run_netstat() -> str:
    """What it prints. Raises OSError."""
    said = []
    for command in COMMANDS:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                check=True,
                timeout=SECONDS,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.SubprocessError as error:
            raise OSError(f"{command[0]} failed: {error}") from error
        said.append(done.stdout.decode("utf-8", "replace"))
    return "".join(said)


class Netstat:
    """What the last run has found. Not thread-safe; `close` it."""

    def __init__(self, run: Callable[[], str] = run_netstat) -> None:
        self._run = run
        self._numbers = Numbers()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="netstat")
        self._next: Future[str] | None = None
        self._last: list[Entry] | None = None

    def read(self) -> list[Entry]:
        """The listeners that the last run has found; begins another. Raises OSError."""
        if self._next is None:
            self._next = self._executor.submit(self._run)
        if self._last is None or self._next.done():
            done, self._next = self._next, None
            self._last = self._understood(done.result())
            self._next = self._executor.submit(self._run)
        return self._last

    def _understood(self, text: str) -> list[Entry]:
        try:
            with self._numbers:
                return parse_netstat(text, self._numbers)
        except NoTableError as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Wait for the last run. May be called twice."""
        self._executor.shutdown()
