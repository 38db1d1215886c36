"""macOS's Local Network privacy, by which a computer nearby, or a virtual machine, is not there.

Source: Apple's TN3179 "Understanding local network privacy": from macOS 15 a program that the user
has not allowed gets EHOSTUNREACH ("No route to host") from addresses of the local network; programs
started in Terminal or by SSH, and those of root, need no permission; loopback is not the network.

Rules: Samehost dials no machine's own address by itself: Lima, Colima, Podman and Rancher Desktop
are reached by ports of 127.0.0.1, WSL by its own program; only an SSH destination that a person has
named may lead into the local network. Limits: has never run on a Mac. Counterparts:
`openssh/complaints.py`, `paramiko/connection.py`.
"""

from __future__ import annotations

import platform as system
import sys
from typing import Final

__all__ = ["advice_on_no_route"]

FIRST_MACOS: Final = 15

ADVICE: Final = (
    "macOS lets a program reach the local network, virtual machines' addresses among it, only once "
    "you have allowed that: System Settings, Privacy & Security, Local Network; started in "
    "Terminal, samehost up needs no permission"
)


def advice_on_no_route(platform: str = sys.platform, release: str | None = None) -> str:
    """What may be the cause of EHOSTUNREACH here besides the network; "" for nothing.

    `release` is macOS's, such as "15.3.1".
    """
    if platform != "darwin":
        return ""
    first = (system.mac_ver()[0] if release is None else release).partition(".")[0]
    return ADVICE if first.isdecimal() and len(first) < 5 and int(first) >= FIRST_MACOS else ""
