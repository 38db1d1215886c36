"""From listeners to wishes: what should be mirrored, where, and if not, why not (DESIGN 3).

    the real listener binds    mirror for origin machine            mirror for origin host
    127.0.0.1, ::1             the same address on the host         the same in the machine
    0.0.0.0, ::                the same, or loopback (`localhost`)  the family's loopback
    :: dual-stack              both families                        both families
    another 127/8 address      the same on the host                 none
    any other address          none: `ignored`                      none
    all, of one interface      none: `ignored`                      none

Rules: pure; the same listeners and rules give the same wishes in the same order of importance.
Each machine is planned for by itself: what two machines want of the desktop is settled where it
is known who stands there already, in the reconciler.
The user's rules come before the built-in ones. A port that both sides hold stays with both: each
gets a `conflict` row. Flows through a wildcard's mirror are dialled to the family's loopback, where
the machine's kernel prefers the more specific listener. If there is one, of the same port, it alone
is mirrored: by the wildcard's mirror the network would reach what is for loopback. Any other
loopback address needs no mirror beside the wildcard's, which takes it as well.

Counterpart: `reconcile.py` makes the wishes come true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from desktop.mirror.conflicts import REMEDIES, describe_holder, hint
from desktop.mirror.defaults import find_default, is_loopback, plumbing
from desktop.mirror.model import (
    LOOPBACK,
    WILDCARD,
    Binding,
    BindingOrder,
    Origin,
    State,
    Target,
    Wish,
    binding_order,
    family_of,
)
from desktop.mirror.overlap import HeldPorts, WishChoice, wildcard_families
from link.listener import Listener

__all__ = ["AS_BOUND", "LOCALHOST", "PortMatcher", "Rules", "plan"]

AS_BOUND: Final = "as-bound"
LOCALHOST: Final = "localhost"

INTERFACES: Final = (ip_network("0.0.0.0/8"), ip_network("::/96"))
"""Addresses that stand for an interface, as `link.listener.Listener` says, but for the wildcards
and ::1."""

BROADCASTS: Final = ("127.255.255.255", "255.255.255.255")
"""For broadcasts on loopback, and on any network (RFC 919, 7): nobody connects there."""


class PortMatcher(Protocol):
    """A rule of the user's `ignore` list (`desktop.settings.values.PortRule`); str() names it."""

    def matches(self, origin: str, protocol: str, port: int) -> bool:
        """True if a listener of that origin, protocol and real port is meant."""


@dataclass(frozen=True)
class Rules:
    """What the settings say about ports.

    Attributes:
        port_binding: AS_BOUND or LOCALHOST: where a wildcard of the machine is mirrored.
        reach_host: whether the desktop's listeners are mirrored into the machine.
        ignore: the user's list.
        remap: (protocol, machine's port) to the desktop's port.
        own_ports: (protocol, port) that Samehost itself listens on in the machine.
        ways: (protocol, port) of the desktop by which machines are reached.
    """

    port_binding: str = AS_BOUND
    reach_host: bool = True
    ignore: tuple[PortMatcher, ...] = ()
    remap: Mapping[tuple[str, int], int] = field(default_factory=dict)
    own_ports: frozenset[tuple[str, int]] = frozenset()
    ways: frozenset[tuple[str, int]] = frozenset()


def plan(
    machine: str, there: Iterable[Listener], here: Iterable[Listener], rules: Rules
) -> list[Wish]:
    """The wishes for a machine: sorted, no binding twice, and no two to open overlap.

    `there` are the real listeners in the machine of that name, `here` those of the desktop.
    Neither list may hold sockets of Samehost's own, or they would be mirrored back.
    """
    of_machine = sorted(there, key=_by_id)
    of_host = sorted(here, key=_by_id)
    choice = WishChoice()
    held = HeldPorts(of_host)
    for listener in of_machine:
        _wish_on_host(machine, listener, held, rules, choice)
    if rules.reach_host:
        held = HeldPorts(of_machine)
        for listener in of_host:
            _wish_in_machine(machine, listener, held, rules, choice)
    return sorted(choice.settle(), key=_order)


def _by_id(listener: Listener) -> int:
    return listener.id


def _order(wish: Wish) -> BindingOrder:
    return binding_order(wish.binding)


def _wish_on_host(
    machine: str, listener: Listener, here: HeldPorts, rules: Rules, choice: WishChoice
) -> None:
    port = rules.remap.get((listener.protocol, listener.port), listener.port)
    places = _places_on_host(listener, rules)
    reason = _ignored(Origin.MACHINE, listener, rules, machine)
    if not places:
        places = (listener.address,)
        reason = reason or _out_of_reach(listener.address)
    state = State.IGNORED if reason else State.PENDING
    holder = None if reason else here.holder(listener.protocol, port, places)
    if holder is not None:
        state = State.CONFLICT
        reason = _blamed(holder, Origin.HOST, machine, REMEDIES[Origin.MACHINE])
    for place in places:
        binding = Binding(Origin.MACHINE, listener.protocol, place, port, machine)
        choice.offer(Wish(binding, _target(listener, place), listener, state, reason))


def _wish_in_machine(
    machine: str, listener: Listener, there: HeldPorts, rules: Rules, choice: WishChoice
) -> None:
    places = _places_in_machine(listener)
    reason = _ignored(Origin.HOST, listener, rules, machine)
    state = State.IGNORED if reason else State.PENDING
    holder = None if reason else there.holder(listener.protocol, listener.port, places)
    if holder is not None:
        state = State.CONFLICT
        reason = _blamed(holder, Origin.MACHINE, machine, REMEDIES[Origin.HOST])
    for place in places:
        binding = Binding(Origin.HOST, listener.protocol, place, listener.port, machine)
        choice.offer(Wish(binding, _target(listener, place), listener, state, reason))


def _places_on_host(listener: Listener, rules: Rules) -> tuple[str, ...]:
    """Loopback as it is, wildcards by `port_binding`; nothing for the machine's and broadcasts."""
    if listener.address in BROADCASTS:
        return ()
    if is_loopback(listener.address):
        return (listener.address,)
    stands = LOOPBACK if rules.port_binding == LOCALHOST else WILDCARD
    return tuple(stands[family] for family in wildcard_families(listener))


def _places_in_machine(listener: Listener) -> tuple[str, ...]:
    """The two loopback addresses only, so that none but the machine's own root can reach us."""
    if listener.address in LOOPBACK.values():
        return (listener.address,)
    return tuple(LOOPBACK[family] for family in wildcard_families(listener))


def _target(listener: Listener, place: str) -> Target:
    address = place if is_loopback(place) else LOOPBACK[family_of(place)]
    return Target(address, listener.port)


def _ignored(origin: Origin, listener: Listener, rules: Rules, machine: str) -> str:
    """Why a rule leaves this listener alone; "" if none does."""
    key = listener.protocol, listener.port
    if origin is Origin.MACHINE and key in rules.own_ports:
        return "ignored by default: Samehost's own port"
    for matcher in rules.ignore:
        if matcher.matches(origin.value, *key):
            return f"ignored by the setting {matcher}"
    if origin is Origin.MACHINE and key in rules.remap:
        return ""
    default = find_default(origin, listener)
    name = default.name if default else plumbing(origin, listener, rules.ways, machine)
    return f"ignored by default: {name}" if name else ""


def _out_of_reach(address: str) -> str:
    if ip_address(address).is_multicast:
        return f"listens only to the multicast group {address}, which stays in the machine"
    if address in BROADCASTS:
        return f"listens only to broadcasts, at {address}, which stay in the machine"
    if any(ip_address(address) in block for block in INTERFACES):
        return "takes from one network interface of the machine only; have it take from all, or lo"
    return f"listens only on {address}, an address of the machine; listen on 0.0.0.0 or 127.0.0.1"


def _blamed(holder: Listener, origin: Origin, machine: str, remedy: str) -> str:
    return f"{describe_holder(holder, origin)}: {hint(holder, machine) or remedy}"
