"""Further addresses for the loopback interface of a test's private network.

Rules: only inside `tests.private_network`, whose end takes them away; needs `ip` of iproute2.
"""

from __future__ import annotations

import subprocess
import time
from typing import Final

__all__ = ["add_addresses", "remove_address"]

ROUTE_SECONDS: Final = 5.0


def add_addresses(*addresses: str) -> None:
    """Add addresses with their prefix lengths, as in 10.99.0.1/32; they can be used at once."""
    for address in addresses:
        if ":" not in address:
            _ip("address", "add", address, "dev", "lo")
            continue
        # Nobody is asked whether an IPv6 address is taken, and yet its route comes a moment later.
        _ip("address", "add", address, "dev", "lo", "nodad")
        deadline = time.monotonic() + ROUTE_SECONDS
        route = f"local {address.split('/')[0]} "
        while route not in _ip("-6", "route", "show", "table", "local"):
            assert time.monotonic() < deadline, f"{address} has no route"
            time.sleep(0.001)


def remove_address(address: str) -> None:
    """Take an address away, given as it was added."""
    _ip("address", "delete", address, "dev", "lo")


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
