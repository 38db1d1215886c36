"""The words of mirroring: binding, target, wish, state, row.

A *listener* (`link.listener.Listener`) is real. A *wish* says where Samehost should listen on
the other side for it, and what a flow through there is dialled to. A *row* is a wish with what
became of it. Rules make wishes (`rules.py`), the reconciler makes rows (`reconcile.py`).

A dual-stack listener (`::` with IPV6_V6ONLY off) makes two wishes, one per family, so each
mirror socket has exactly one family and IPv6 mirror sockets are always v6-only.

Several machines may be attached at once: each wish is for one of them. Mirrors of all machines'
listeners stand on the one desktop, where they may meet; those in different machines never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from link.listener import Listener

__all__ = [
    "LOOPBACK",
    "WILDCARD",
    "Binding",
    "BindingOrder",
    "Failure",
    "Origin",
    "Row",
    "State",
    "Target",
    "Wish",
    "binding_order",
    "family_of",
]


class Origin(StrEnum):
    """The side on which the real listener lives."""

    MACHINE = "machine"
    """A container of the machine listens; the mirror is on this computer."""
    HOST = "host"
    """A program of this computer listens; containers reach it at their own `localhost`."""


class State(StrEnum):
    """What became of a mirror (DESIGN 3)."""

    ACTIVE = "active"
    """Open."""
    PENDING = "pending"
    """Being opened."""
    CONFLICT = "conflict"
    """Another program has the port; the reason says which, and it heals by itself."""
    DENIED = "denied"
    """The system does not allow it; the reason has the remedy."""
    IGNORED = "ignored"
    """A rule says so; the reason names it."""
    PAUSED = "paused"
    """Its machine is not connected."""


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """Where a mirror listens (or would): the key of everything the reconciler knows.

    `origin` is where the real listener is, so the mirror socket is on the *other* side.
    `machine` is the name of the machine in which one of the two is.
    `claimant` is 0 for whatever is ever opened. Where `remap` leads several ports to one place,
    the rows that lose it carry their real listener's port here, which keeps them apart.
    """

    origin: Origin
    protocol: str
    address: str
    port: int
    machine: str
    claimant: int = 0

    def __hash__(self) -> int:
        """Leaves out what seldom differs: enumerations hash slowly."""
        return hash((self.protocol, self.address, self.port))


@dataclass(frozen=True, slots=True)
class Target:
    """What a flow through a mirror is dialled to, on the real listener's side. Always loopback."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be: `state` is PENDING (open it), IGNORED or CONFLICT (do not, `reason`).

    Attributes:
        listener: the real listener; of several behind one binding, the one with the lowest id.
        reason: which rule or whose fault, and the remedy; "" for PENDING.
    """

    binding: Binding
    target: Target
    listener: Listener
    state: State = State.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an opener could not open a binding: `state` is CONFLICT or DENIED."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """A wish and what became of it. `since` is the time (seconds, caller's clock) of the state."""

    wish: Wish
    state: State
    reason: str
    since: float


LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}
"""The loopback address that everybody means, by family (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3)."""

WILDCARD: Final = {4: "0.0.0.0", 6: "::"}
"""All addresses, by family."""


BindingOrder = tuple[str, str, int, int, int, str, int]


def family_of(address: str) -> int:
    """4 or 6, the family of a canonical address."""
    return 6 if ":" in address else 4


def binding_order(binding: Binding) -> BindingOrder:
    """Sorts by origin, protocol, port, address and machine; addresses as numbers, IPv4 first."""
    family, number = _numeric(binding.address)
    place = (binding.origin, binding.protocol, binding.port, family, number)
    return (*place, binding.machine, binding.claimant)


@lru_cache(maxsize=1024)
def _numeric(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)
