"""The settings as the rest of the desktop reads them: typed, immutable, checked.

Rules: pure. Values come from `store.py`, which has checked them with `keys.py`; a `Settings`
never changes, a new one takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "DEFAULT_SANDBOX_NETWORK",
    "HIGHEST_PORT",
    "PortRule",
    "Settings",
    "Switch",
    "parse_remap_key",
    "parse_rule",
]

HIGHEST_PORT: Final = 65535
"""RFC 9293 and RFC 768: ports have 16 bits; 0 names none."""

DEFAULT_SANDBOX_NETWORK: Final = "10.213.0.0/16,172.29.0.0/16,192.168.213.0/24"
"""Private ranges (RFC 1918) that home routers, VPNs and Docker's own bridges seldom use."""

_RULE: Final = re.compile(r"(?:(machine|host):)?(tcp|udp):([0-9]{1,5})(?:-([0-9]{1,5}))?")
_REMAP_KEY: Final = re.compile(r"(tcp|udp):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class PortRule:
    """Some ports: of one origin ("machine", "host") or None for both, `first` to `last`."""

    origin: str | None
    protocol: str
    first: int
    last: int

    def matches(self, origin: str, protocol: str, port: int) -> bool:
        """True if a listener of that origin, protocol and port is meant."""
        return (
            self.origin in (None, origin)
            and self.protocol == protocol
            and self.first <= port <= self.last
        )

    def __str__(self) -> str:
        origin = f"{self.origin}:" if self.origin else ""
        last = f"-{self.last}" if self.last != self.first else ""
        return f"{origin}{self.protocol}:{self.first}{last}"


def parse_rule(text: str) -> PortRule:
    """The rule `[machine:|host:]tcp|udp:PORT[-PORT]`. Raises ValueError, which says why."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError("is not of the form [machine:|host:]tcp|udp:PORT[-PORT]")
    origin, protocol, low, high = match.groups()
    first = _port(low)
    last = _port(high) if high else first
    if last < first:
        raise ValueError("ends before it begins")
    return PortRule(origin, protocol, first, last)


def parse_remap_key(text: str) -> tuple[str, int]:
    """What `remap` names a machine's port by, `tcp|udp:PORT`. Raises ValueError."""
    match = _REMAP_KEY.fullmatch(text)
    if match is None:
        raise ValueError("is not of the form tcp|udp:PORT")
    return match[1], _port(match[2])


def _port(digits: str) -> int:
    port = int(digits)
    if not 1 <= port <= HIGHEST_PORT:
        raise ValueError(f"has a port that is not between 1 and {HIGHEST_PORT}")
    return port


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether host networking is on, whether the user may change that, and if not, why."""

    enabled: bool
    locked: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings in force.

    Attributes:
        host_networking_enabled: the same as `Switch.enabled`: policy and container isolation
            are considered already.
        machine: the machine to use; None to find one.
        reach_host: mirror the desktop's listeners into the machine.
        port_binding: "as-bound" or "localhost".
        ignore: ports that are not mirrored.
        remap: (protocol, machine's port) to the desktop's port.
        udp_idle_seconds: life of a UDP flow without a datagram.
        max_udp_flows: flows of one UDP mirror.
        enhanced_container_isolation: while True, host networking is off.
        sandbox_network: where the sandbox takes its addresses from: networks in CIDR notation,
            separated by commas, the preferred one first.
    """

    host_networking_enabled: bool = False
    machine: str | None = None
    reach_host: bool = True
    port_binding: str = "as-bound"
    ignore: tuple[PortRule, ...] = ()
    remap: Mapping[tuple[str, int], int] = field(default_factory=lambda: MappingProxyType({}))
    udp_idle_seconds: int = 90
    max_udp_flows: int = 1024
    enhanced_container_isolation: bool = False
    sandbox_network: str = DEFAULT_SANDBOX_NETWORK

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """The settings of checked JSON values by key; all keys must be there."""
        return cls(
            host_networking_enabled=values["hostNetworkingEnabled"],
            machine=values["machine"],
            reach_host=values["reachHost"],
            port_binding=values["portBinding"],
            ignore=tuple(parse_rule(text) for text in values["ignore"]),
            remap=MappingProxyType(
                {parse_remap_key(text): port for text, port in values["remap"].items()}
            ),
            udp_idle_seconds=values["udpIdleSeconds"],
            max_udp_flows=values["maxUdpFlows"],
            enhanced_container_isolation=values["enhancedContainerIsolation"],
            sandbox_network=values["sandboxNetwork"],
        )
