"""Which addresses of one port are taken, and by whom; and the one wish for one place.

Rules: pure; constant time per question, however many addresses of 127/8 a program listens on.
A wildcard takes every address of its family (bind(2) gives EADDRINUSE without SO_REUSEPORT);
IPv4 and IPv6 do not meet, since mirror sockets are v6-only and a dual-stack listener counts as
both wildcards. Where a wildcard's flows would be another listener's, which is for loopback alone,
the wildcard has no mirror: it would let other computers in there. Counterpart: `rules.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from desktop.mirror.conflicts import describe_holder
from desktop.mirror.defaults import is_loopback
from desktop.mirror.model import LOOPBACK, WILDCARD, State, Wish, family_of
from link.listener import Listener

__all__ = ["HeldPorts", "TakenAddresses", "WishChoice", "is_in_the_way", "wildcard_families"]

Holder = TypeVar("Holder")

_LOSES_ITS_FLOWS: Final = (
    "and would get what comes from the network: give one of the two another port"
)
_RANKS: Final = {State.PENDING: 0, State.CONFLICT: 1, State.IGNORED: 2}


def wildcard_families(listener: Listener) -> tuple[int, ...]:
    """The families (4, 6) of which the listener has the wildcard."""
    if listener.is_dual_stack:
        return (4, 6)
    family = family_of(listener.address)
    return (family,) if listener.address == WILDCARD[family] else ()


def is_in_the_way(listener: Listener, address: str) -> bool:
    """True if no mirror can be opened on `address` and the port while the listener has it."""
    family = family_of(address)
    if family in wildcard_families(listener):
        return True
    is_wildcard = address == WILDCARD[family]
    return listener.address == address or (is_wildcard and family_of(listener.address) == family)


class TakenAddresses(Generic[Holder]):
    """The addresses of one port, each with who took it first."""

    def __init__(self) -> None:
        self._by_address: dict[str, Holder] = {}
        self._by_family: dict[int, Holder] = {}

    def take(self, address: str, holder: Holder) -> None:
        """Note that `holder` has `address`; the first one stays."""
        self._by_address.setdefault(address, holder)
        self._by_family.setdefault(family_of(address), holder)

    def holder(self, address: str) -> Holder | None:
        """Who has an address that overlaps this one; None if it is free."""
        wildcard = WILDCARD[family_of(address)]
        if address == wildcard:
            return self._by_family.get(family_of(address))
        return self._by_address.get(address) or self._by_address.get(wildcard)


class HeldPorts:
    """What real listeners of one side hold on its loopback, wildcards included."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._taken: defaultdict[tuple[str, int], TakenAddresses[Listener]] = defaultdict(
            TakenAddresses
        )
        for listener in listeners:
            taken = self._taken[listener.protocol, listener.port]
            families = wildcard_families(listener)
            for family in families:
                taken.take(WILDCARD[family], listener)
            if not families and is_loopback(listener.address):
                taken.take(listener.address, listener)

    def holder(self, protocol: str, port: int, addresses: Iterable[str]) -> Listener | None:
        """A listener that has the port on any of these addresses."""
        taken = self._taken.get((protocol, port))
        if taken is None:
            return None
        found = (taken.holder(address) for address in addresses)
        return next((listener for listener in found if listener is not None), None)


class WishChoice:
    """Of the wishes offered, one for each place, and none to open that overlaps another."""

    def __init__(self) -> None:
        self._ports: defaultdict[tuple[str, str, int], dict[tuple[str, int], Wish]] = defaultdict(
            dict
        )

    def offer(self, wish: Wish) -> None:
        """Take part. Who gets the flows represents all; of equals, who was offered first."""
        key = wish.binding
        rivals = self._ports[key.origin.value, key.protocol, key.port]
        same = key.address, wish.listener.port
        rival = rivals.get(same)
        if rival is None or _rank(wish) < _rank(rival):
            rivals[same] = wish

    def settle(self) -> list[Wish]:
        """The wishes chosen, and those that lost, with who stands in their place."""
        settled: list[Wish] = []
        for rivals in self._ports.values():
            if len(rivals) == 1:
                settled.extend(rivals.values())
            else:
                settled.extend(_settle_port(sorted(rivals.values(), key=_precedence)))
        return settled


def _rank(wish: Wish) -> tuple[int, bool]:
    """A kernel prefers the listener on the very address over one on the wildcard."""
    return _RANKS[wish.state], wish.listener.address != wish.target.address


def _precedence(wish: Wish) -> tuple[int, int, int, str]:
    """Of one listener's port: who gets a wildcard's flows, then wildcards, then the others."""
    address = wish.binding.address
    family = family_of(address)
    width = (LOOPBACK[family], WILDCARD[family], address).index(address)
    return _RANKS[wish.state], wish.listener.port, width, address


def _settle_port(wishes: list[Wish]) -> list[Wish]:
    taken: TakenAddresses[Wish] = TakenAddresses()
    places: set[str] = set()
    settled = []
    for wish in wishes:
        winner = taken.holder(wish.binding.address)
        if winner is None:
            if wish.state is State.PENDING:
                taken.take(wish.binding.address, wish)
        elif wish.state is State.PENDING:
            wish = _outdone(wish, winner)
        if wish.binding.address in places:
            wish = replace(wish, binding=replace(wish.binding, claimant=wish.listener.port))
        places.add(wish.binding.address)
        settled.append(wish)
    return settled


def _outdone(wish: Wish, winner: Wish) -> Wish:
    place = winner.binding.address
    if wish.listener.port == winner.listener.port:
        reason = f"the mirror of {place} takes this address as well"
        if wish.binding.address == WILDCARD[family_of(place)]:
            holder = describe_holder(winner.listener, winner.binding.origin)
            reason = f"{holder} on {place} alone, {_LOSES_ITS_FLOWS}"
        return replace(wish, state=State.IGNORED, reason=reason)
    protocol, port = wish.binding.protocol, wish.binding.port
    reason = (
        f"{protocol} port {winner.listener.port} of the machine has port {port} of this computer "
        "already: change the setting remap"
    )
    return replace(wish, state=State.CONFLICT, reason=reason)
