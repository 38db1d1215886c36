"""What is not mirrored unless the user remaps it: one table, each rule with its name.

Rules: pure. These ports belong to a computer's own plumbing; taken from the other side, they
would cut it off (a DHCP client's port) or answer for the wrong computer. Those of discovery are
shared by many programs of a computer (SO_REUSEADDR), which a mirror would keep from having them,
and what they are for is multicast, which is not carried.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from desktop.mirror.forwarders import find_forwarder
from desktop.mirror.model import LOOPBACK, Origin
from link.listener import Listener

__all__ = ["DEFAULT_RULES", "DefaultRule", "find_default", "is_loopback", "plumbing"]

_BOTH: Final = ("tcp", "udp")
_EITHER: Final = (Origin.MACHINE, Origin.HOST)


def is_loopback(address: str) -> bool:
    """True for 127/8 (RFC 1122, 3.2.1.3) and ::1, given as canonical text."""
    return address.startswith("127.") or address == LOOPBACK[6]


@dataclass(frozen=True)
class DefaultRule:
    """Listeners of any of `origins` and `protocols` on any of `ports`.

    `addresses` limits it to these; "loopback" stands for every loopback address, None for all.
    """

    name: str
    protocols: tuple[str, ...]
    ports: tuple[int, ...]
    origins: tuple[Origin, ...] = _EITHER
    addresses: tuple[str, ...] | None = None

    def matches(self, origin: Origin, listener: Listener) -> bool:
        """True if the rule means this listener."""
        return (
            listener.port in self.ports
            and listener.protocol in self.protocols
            and origin in self.origins
            and self._has_address(listener.address)
        )

    def _has_address(self, address: str) -> bool:
        if self.addresses is None or address in self.addresses:
            return True
        return "loopback" in self.addresses and is_loopback(address)


DEFAULT_RULES: Final = (
    DefaultRule("DHCP", ("udp",), (67, 68)),
    DefaultRule("time service (NTP)", ("udp",), (123,)),
    DefaultRule("control port of the time service (chrony)", ("udp",), (323,)),
    DefaultRule("discovery of devices (SSDP)", ("udp",), (1900,)),
    DefaultRule("discovery of services (WS-Discovery)", ("udp",), (3702,)),
    DefaultRule("multicast DNS", ("udp",), (5353,)),
    DefaultRule("link-local name resolution (LLMNR)", ("udp",), (5355,)),
    DefaultRule("stub resolver", _BOTH, (53,), addresses=("127.0.0.53", "127.0.0.54")),
    DefaultRule("stub resolver", _BOTH, (53,), (Origin.HOST,), ("loopback",)),
    DefaultRule("the machine's SSH port", ("tcp",), (22,), (Origin.MACHINE,)),
)
"""IANA's service names and port numbers; chrony.conf(5) for 323; systemd-resolved(8) for 127.0.0.53
and 127.0.0.54."""

_PORTS: Final = frozenset(port for rule in DEFAULT_RULES for port in rule.ports)


def plumbing(
    origin: Origin, listener: Listener, ways: Collection[tuple[str, int]], machine: str
) -> str:
    """What a listener is that serves to reach the machine or its ports; "" for any other.

    `ways` are (protocol, port) of the desktop by which machines are reached. What the forwarder of
    the machine's own tool makes appear on the desktop is in the machine already.
    """
    if origin is not Origin.HOST:
        return ""
    if (listener.protocol, listener.port) in ways:
        return "the way into a machine"
    forwarder = find_forwarder(listener, machine)
    if forwarder is None or not forwarder.is_sure or not forwarder.serves(machine):
        return ""
    return f"{forwarder.tool} forwards it from the machine"


def find_default(origin: Origin, listener: Listener) -> DefaultRule | None:
    """The first default rule that means this listener."""
    if listener.port not in _PORTS:
        return None
    return next((rule for rule in DEFAULT_RULES if rule.matches(origin, listener)), None)
