"""Another computer, for tests: a network namespace joined to this one by a cable of its own.

Sockets made by its `socket` are that computer's, wherever they are used. A namespace belongs to
a thread and ends with it and its sockets, and the cable with the namespace: nothing is left, even
if the test is killed. Addresses are private ones that nothing here uses or routes.

Limits: root. Counterpart: `tests.private_network`, which puts a whole test into one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final

from desktop.machines.sandbox.addresses import choose, taken_networks

__all__ = ["OtherHost", "other_host"]

CLONE_NEWNET: Final = 0x40000000
"""linux/sched.h."""
POOL: Final = IPv4Network("172.31.128.0/17")
"""Where the pairs are taken from (RFC 1918), away from the sandbox's own pools."""


class OtherHost:
    """See the module.

    Attributes:
        addresses: of this computer on the cable: two of IPv4, then two of IPv6.
    """

    def __init__(self, executor: ThreadPoolExecutor, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self._executor = executor

    def socket(self, family: int, kind: int) -> socket.socket:
        """A socket of the other computer."""
        return self._executor.submit(socket.socket, family, kind).result()

    def ip(self, *arguments: str) -> None:
        """ip(8) on the other computer."""
        self._executor.submit(_ip, *arguments).result()

    def allow_loopback_routes(self) -> None:
        """Let it send packets for 127.0.0.0/8 over the cable (ip-sysctl, route_localnet)."""
        path = Path("/proc/sys/net/ipv4/conf/all/route_localnet")
        self._executor.submit(path.write_text, "1").result()


@contextlib.contextmanager
def other_host() -> Iterator[OtherHost]:
    """Another computer for as long as it lasts."""
    here = f"shtest{secrets.token_hex(4)}"
    networks = _free_networks()
    with ThreadPoolExecutor(1) as executor:
        task = executor.submit(_enter).result()
        _ip("link", "add", here, "type", "veth", "peer", "name", "cable", "netns", str(task))
        try:
            addresses = tuple(str(network[1]) for network in networks)
            _connect(here, [(network[1], network.prefixlen) for network in networks])
            executor.submit(
                _connect, "cable", [(network[2], network.prefixlen) for network in networks]
            ).result()
            yield OtherHost(executor, addresses)
        finally:
            _ip("link", "delete", here)


def _free_networks() -> list[IPv4Network | IPv6Network]:
    """Two networks of IPv4, then two of IPv6 with random numbers (RFC 4193)."""
    taken = taken_networks(_json("address"), _json("route", "show", "table", "all"))
    networks: list[IPv4Network | IPv6Network] = []
    for _ in range(2):
        pair = choose([POOL], taken)
        assert pair is not None, "no private address is free"
        taken.append(pair.network)
        networks.append(pair.network)
    for _ in range(2):
        prefix = int.from_bytes(b"\xfd" + secrets.token_bytes(7)) << 64
        networks.append(IPv6Network((prefix, 64)))
    return networks


def _enter() -> int:
    """Give this thread a network of its own; its id for the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return threading.get_native_id()


def _connect(interface: str, addresses: list[tuple[Any, int]]) -> None:
    """Bring an interface of this thread's network up with these addresses, usable at once."""
    for address, prefix in addresses:
        options = ["nodad"] if address.version == 6 else []
        _ip("address", "add", f"{address}/{prefix}", "dev", interface, *options)
    _ip("link", "set", interface, "up")


def _json(*arguments: str) -> Any:
    return json.loads(_ip("-json", *arguments))


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout
