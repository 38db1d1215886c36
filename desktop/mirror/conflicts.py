"""Who holds a port, in words for a person, with a hint where the culprit is well known.

Rules: pure. Counterparts: `rules.py` (a port held on both sides), `failures.py` (what an opener
met), `reconcile.py` (a port that two machines want here) - the same holder reads the same in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from desktop.mirror.forwarders import find_forwarder
from desktop.mirror.model import Origin, Wish
from link.listener import Listener

__all__ = ["REMEDIES", "SIDES", "describe_holder", "describe_rival", "hint"]

SIDES: Final = {Origin.MACHINE: "the machine", Origin.HOST: "this computer"}
"""What a person calls the side where a listener of that origin lives."""

SHORT_ID: Final = 12
"""Characters of a container's id that engines show."""


@dataclass(frozen=True)
class _Culprit:
    """A program known to surprise people. `processes` are its names, as systems shorten them."""

    protocols: tuple[str, ...]
    ports: tuple[int, ...]
    processes: tuple[str, ...]
    advice: str


_CULPRITS: Final = (
    _Culprit(
        ("tcp",),
        (5000, 7000),
        ("ControlCenter", "ControlCe"),
        "this is AirPlay Receiver: System Settings, General, AirDrop & Handoff turns it off",
    ),
    _Culprit(
        ("tcp", "udp"),
        (53,),
        ("systemd-resolved", "systemd-resolve"),
        "DNSStubListener=no in /etc/systemd/resolved.conf frees it",
    ),
    _Culprit(
        ("tcp", "udp"),
        (53,),
        ("mDNSResponder", "mDNSRespo"),
        "macOS takes it for Internet Sharing and for virtual machines' networks",
    ),
)


REMEDIES: Final[Mapping[Origin, str]] = {
    Origin.MACHINE: "stop it, or remap the port",
    Origin.HOST: "stop one of the two",
}
"""What to do about a program in the way of a mirror of that origin, if no more is known of it."""


def describe_holder(holder: Listener, origin: Origin) -> str:
    """Who `holder`, a listener of that origin, is: container or program, pid, and where."""
    return f"{_name(holder)} on {SIDES[origin]} has {holder.protocol} port {holder.port}"


def describe_rival(rival: Wish) -> str:
    """Who has the place here that another machine wants, too, and what to do."""
    binding = rival.binding
    return (
        f"{_name(rival.listener)} on the machine {binding.machine} has {binding.protocol} port "
        f"{binding.port} of this computer: stop one of the two"
    )


def hint(holder: Listener, machine: str) -> str:
    """What to know about a holder that surprises many people; "" for any other.

    It holds a port of this computer that `machine` wants, or the other way round.
    """
    forwarder = find_forwarder(holder, machine)
    if forwarder is not None:
        return forwarder.words(holder, machine)
    for culprit in _CULPRITS:
        if (
            holder.protocol in culprit.protocols
            and holder.port in culprit.ports
            and holder.process in culprit.processes
        ):
            return culprit.advice
    return ""


def _name(holder: Listener) -> str:
    if holder.container is not None:
        return f"container {holder.container.name or holder.container.id[:SHORT_ID]}"
    pid = f" (pid {holder.pid})" if holder.pid else ""
    return f"{holder.process or 'another program'}{pid}"
