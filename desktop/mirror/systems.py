"""Numbers of errors, by operating system, and what a person does about a port, or files, there.

Rules: pure. The machine is Linux whatever this computer is, so a number means what it means on the
side that it comes from. Sources: Linux asm-generic/errno.h and errno-base.h; XNU bsd/sys/errno.h;
Windows winerror.h (WSA…), of which CPython gives those below 10000 + 128 that C has as C's own
(PC/errmap.h, winerror_to_errno: WSAEACCES 10013 comes as 13, WSAEMFILE 10024 as 24).

Windows says WSAEACCES, not WSAEADDRINUSE, for a port within a range that it keeps for itself, as
Hyper-V and WinNAT do after each start (`netsh interface ipv4 show excludedportrange`).
Limits of files: limits.conf(5); launchctl(1), limit, and sysctl kern.maxfilesperproc of macOS;
Windows has none. Ports of clients: ip(7); XNU bsd/netinet/in_pcb.c (portrange);
learn.microsoft.com, "netsh interface ipv4" (dynamicport).
Counterparts: `failures.py`; `desktop/daemon/files.py` and `troubles.py`, and
`desktop/doctor/limits*.py`, say what to do, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

__all__ = ["LINUX", "MACOS", "WINDOWS", "ExcludedRange", "System", "Why", "parse_excluded"]


class Why(Enum):
    """What was wrong."""

    IN_USE = auto()
    DENIED = auto()
    NO_ADDRESS = auto()
    NO_FILES = auto()


@dataclass(frozen=True)
class System:
    """One operating system.

    Attributes:
        numbers: its errors of bind(2), listen(2) and socket(2).
        denied: what to do about a port that it denies; `{side}` and `{port}` are put in.
        files: what to do if too many files are open.
        file_limit: how the daemon gets more of them for good; see `more_files`.
        client_ports: what to do if clients' connections find no port of their own.
        reserves: it denies ports that it keeps for itself, and those only.
    """

    numbers: Mapping[int, Why]
    denied: str
    files: str
    file_limit: str
    client_ports: str
    reserves: bool = False

    def more_files(self, count: int) -> str:
        """What to do so that the daemon, started again, may open so many."""
        return self.file_limit.format(count=count, most=2 * count)


class ExcludedRange(NamedTuple):
    """Ports that Windows gives to nobody by itself. `is_administered`: by somebody's order."""

    first: int
    last: int
    is_administered: bool


_ULIMIT: Final = "raise the limit with `ulimit -n`"

LINUX: Final = System(
    {
        98: Why.IN_USE,
        13: Why.DENIED,
        1: Why.DENIED,
        99: Why.NO_ADDRESS,
        97: Why.NO_ADDRESS,
        24: Why.NO_FILES,
        23: Why.NO_FILES,
    },
    "ports below 1024 need a privilege on {side}: run "
    "`sysctl net.ipv4.ip_unprivileged_port_start={port}` as root, start Samehost with the "
    "capability CAP_NET_BIND_SERVICE, or remap the port",
    _ULIMIT,
    "raise the hard limit to {count} or more (`ulimit -Hn`, /etc/security/limits.conf)",
    "widen net.ipv4.ip_local_port_range",
)
MACOS: Final = System(
    {
        48: Why.IN_USE,
        13: Why.DENIED,
        1: Why.DENIED,
        49: Why.NO_ADDRESS,
        47: Why.NO_ADDRESS,
        24: Why.NO_FILES,
        23: Why.NO_FILES,
    },
    "macOS gives a port below 1024 to everybody on 0.0.0.0 and ::, and to root only on any other "
    "address: let the container listen on 0.0.0.0, or remap the port",
    _ULIMIT,
    "raise the limits: sudo launchctl limit maxfiles {count} {most}, and"
    " sudo sysctl kern.maxfilesperproc={most}; log in anew",
    "widen net.inet.ip.portrange.first to net.inet.ip.portrange.last",
)
WINDOWS: Final = System(
    {
        10048: Why.IN_USE,
        13: Why.DENIED,
        10013: Why.DENIED,
        10049: Why.NO_ADDRESS,
        10047: Why.NO_ADDRESS,
        24: Why.NO_FILES,
        10024: Why.NO_FILES,
        10055: Why.NO_FILES,
    },
    "port {port} is reserved by Windows{range}: `netsh interface ipv4 show excludedportrange "
    "protocol={protocol}` shows what is; {advice}, or remap the port",
    "close some programs",
    "close some programs",
    "widen what `netsh interface ipv4 show dynamicport tcp` shows",
    reserves=True,
)

_ROW: Final = re.compile(r"\s*(\d{1,5})\s+(\d{1,5})(\s+\*)?\s*")
LARGEST_PORT: Final = 65535


def parse_excluded(text: str) -> list[ExcludedRange]:
    """The ranges that `netsh interface ipv4 show excludedportrange protocol=…` prints.

    Words are in the language of Windows; rows are two numbers, and a star if somebody ordered it.
    """
    matches = (_ROW.fullmatch(line) for line in text.splitlines())
    found = (
        ExcludedRange(int(match[1]), int(match[2]), match[3] is not None)
        for match in matches
        if match is not None
    )
    return [each for each in found if 0 < each.first <= each.last <= LARGEST_PORT]
