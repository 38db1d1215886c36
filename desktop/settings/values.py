"""The settings as the rest of the desktop reads them: typed, immutable, checked.

Rules: pure. Values come from `store.py`, which has checked them with `keys.py`; a `Settings`
never changes, a new one takes its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "DEFAULT_SANDBOX_NETWORK",
    "HIGHEST_PORT",
    "PortRule",
    "RepeatedNameError",
    "RuleError",
    "Settings",
    "Switch",
    "once_each",
    "parse_remap_key",
    "parse_rule",
]

HIGHEST_PORT: Final = 65535
"""RFC 9293 and RFC 768: ports have 16 bits; 0 names none."""

DEFAULT_SANDBOX_NETWORK: Final = "10.213.0.0/16,172.29.0.0/16,192.168.213.0/24"
"""Private ranges (RFC 1918) that home routers, VPNs and Docker's own bridges seldom use."""

ORIGINS: Final = ("machine", "host")
PROTOCOLS: Final = ("tcp", "udp")
RULE_FORM: Final = "[machine:|host:]tcp|udp:PORT[-PORT]"
REMAP_FORM: Final = "tcp|udp:PORT"

LONGEST_SHOWN: Final = 100
"""Letters of a name in a message."""

_DIGITS: Final = re.compile(r"[0-9]{1,5}")


class RuleError(ValueError):
    """A text that is no rule: `problem` says why, `place` is the part of the text that is wrong."""

    def __init__(self, problem: str, place: str) -> None:
        super().__init__(f"{problem}: {place}")
        self.problem = problem
        self.place = place


class RepeatedNameError(ValueError):
    """A JSON object has a name twice."""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `json.loads`. Raises RepeatedNameError."""
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise RepeatedNameError(f"{json.dumps(name[:LONGEST_SHOWN])} twice")
        value[name] = item
    return value


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
    """The rule that a text of RULE_FORM stands for. Raises RuleError."""
    words = text.split(":")
    if not 2 <= len(words) <= 3:
        raise RuleError(f"is not of the form {RULE_FORM}", text)
    *origins, protocol, ports = words
    if origins and origins[0] not in ORIGINS:
        raise RuleError("names no side, which is machine or host", origins[0])
    _check_protocol(protocol)
    low, dash, high = ports.partition("-")
    first = _port(low)
    last = _port(high) if dash else first
    if last < first:
        raise RuleError("ends before it begins", high)
    return PortRule(origins[0] if origins else None, protocol, first, last)


def parse_remap_key(text: str) -> tuple[str, int]:
    """What `remap` names a machine's port by, a text of REMAP_FORM. Raises RuleError."""
    protocol, colon, port = text.partition(":")
    if not colon:
        raise RuleError(f"is not of the form {REMAP_FORM}", text)
    _check_protocol(protocol)
    return protocol, _port(port)


def _check_protocol(word: str) -> None:
    if word not in PROTOCOLS:
        raise RuleError("names no protocol, which is tcp or udp", word)


def _port(digits: str) -> int:
    if not _DIGITS.fullmatch(digits) or not 1 <= int(digits) <= HIGHEST_PORT:
        raise RuleError(f"has no port from 1 to {HIGHEST_PORT}", digits)
    return int(digits)


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
        also_attach: machines that are attached beside it.
        reach_host: mirror the desktop's listeners into the machine.
        port_binding: "as-bound" or "localhost".
        ignore: ports that are not mirrored.
        remap: (protocol, machine's port) to the desktop's port.
        udp_idle_seconds: life of a UDP flow without a datagram.
        max_udp_flows: flows of one UDP mirror.
        udp_path: which UDP code is used: "auto" or "portable". Read at the daemon's start.
        ebpf: "auto", or "off": the machine does without. Read when a machine is attached.
        enhanced_container_isolation: while True, host networking is off.
        sandbox_network: where the sandbox takes its addresses from: networks in CIDR notation,
            separated by commas, the preferred one first.
    """

    host_networking_enabled: bool = False
    machine: str | None = None
    also_attach: tuple[str, ...] = ()
    reach_host: bool = True
    port_binding: str = "as-bound"
    ignore: tuple[PortRule, ...] = ()
    remap: Mapping[tuple[str, int], int] = field(default_factory=lambda: MappingProxyType({}))
    udp_idle_seconds: int = 90
    max_udp_flows: int = 1024
    udp_path: str = "auto"
    ebpf: str = "auto"
    enhanced_container_isolation: bool = False
    sandbox_network: str = DEFAULT_SANDBOX_NETWORK

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """The settings of checked JSON values by key; all keys must be there."""
        return cls(
            host_networking_enabled=values["hostNetworkingEnabled"],
            machine=values["machine"],
            also_attach=tuple(values["alsoAttach"]),
            reach_host=values["reachHost"],
            port_binding=values["portBinding"],
            ignore=tuple(parse_rule(text) for text in values["ignore"]),
            remap=MappingProxyType(
                {parse_remap_key(text): port for text, port in values["remap"].items()}
            ),
            udp_idle_seconds=values["udpIdleSeconds"],
            max_udp_flows=values["maxUdpFlows"],
            udp_path=values["udpPath"],
            ebpf=values["ebpf"],
            enhanced_container_isolation=values["enhancedContainerIsolation"],
            sandbox_network=values["sandboxNetwork"],
        )
