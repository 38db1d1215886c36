"""Which two addresses a sandbox and this computer use between them.

Rules: pure; the caller brings what the computer has (`ip -json`, ip-address(8), ip-route(8)).
A pair is the two usable addresses of a /30 inside the pools that overlaps with no address and
no route of the computer. Routes wider than /2 are no reason against a pair: the default route,
and the halves of it that VPN clients use in its place, cover every address there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Any, Final

from desktop.errors import UsageError

__all__ = ["AddressPair", "choose", "parse_pools", "taken_networks"]

PAIR_PREFIX: Final = 30
PAIR_SIZE: Final = 4
WIDEST_ROUTE_THAT_COUNTS: Final = 2

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AddressPair:
    """The ends of the cable: `host` here, `machine` in there, both in `network`."""

    network: IPv4Network

    @property
    def host(self) -> str:
        """The address of this computer."""
        return str(self.network[1])

    @property
    def machine(self) -> str:
        """The address of the machine."""
        return str(self.network[2])


def parse_pools(text: str) -> list[IPv4Network]:
    """The ranges in `text`, separated by commas. Raises UsageError."""
    try:
        pools = [IPv4Network(part.strip()) for part in text.split(",")]
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise UsageError(
            f"not an IPv4 range for the sandbox: {error}", "use a form such as 10.213.0.0/16"
        ) from error
    for pool in pools:
        if pool.prefixlen > PAIR_PREFIX:
            raise UsageError(f"the range {pool} is too small", "use a /30 or a wider one")
    return pools


def taken_networks(addresses: Sequence[Json], routes: Sequence[Json]) -> list[IPv4Network]:
    """What the output of `ip -json address` and `ip -json route show table all` occupies."""
    taken = []
    for interface in addresses:
        for entry in interface.get("addr_info", ()):
            if entry.get("family", "inet") != "inet":
                continue
            ends = [entry.get("local"), entry.get("address")]
            taken += [_network(f"{end}/{entry['prefixlen']}") for end in ends if end]
    for route in routes:
        destination = str(route.get("dst", "default"))
        if destination != "default" and ":" not in destination:
            taken.append(_network(destination))
    return [network for network in taken if network.prefixlen >= WIDEST_ROUTE_THAT_COUNTS]


def choose(pools: Iterable[IPv4Network], taken: Sequence[IPv4Network]) -> AddressPair | None:
    """The first pair in `pools` that overlaps with nothing `taken`; None if there is none."""
    for pool in pools:
        start, end = int(pool.network_address), int(pool.broadcast_address)
        while start + PAIR_SIZE - 1 <= end:
            candidate = IPv4Network((start, PAIR_PREFIX))
            clash = next((network for network in taken if network.overlaps(candidate)), None)
            if clash is None:
                return AddressPair(candidate)
            after = int(clash.broadcast_address) + 1
            start = max(start + PAIR_SIZE, -(-after // PAIR_SIZE) * PAIR_SIZE)
    return None


def _network(text: str) -> IPv4Network:
    return IPv4Network(text, strict=False)
