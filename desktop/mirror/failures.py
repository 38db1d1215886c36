"""Why a mirror could not be opened, in words for a person: the one place that reads errno here.

Rules: pure. A port in use is a conflict and names the other program where it may be seen; all else
is a denial with its remedy. What a number means, the system of that side says (`systems.py`).
Counterparts: the openers on either side.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from desktop.mirror.conflicts import REMEDIES, SIDES, describe_holder, hint
from desktop.mirror.model import Binding, Failure, Origin, State, family_of
from desktop.mirror.overlap import is_in_the_way
from desktop.mirror.systems import LINUX, ExcludedRange, System, Why
from link.listener import Listener

__all__ = ["explain"]

_OTHER_SIDE: Final = {Origin.MACHINE: Origin.HOST, Origin.HOST: Origin.MACHINE}
"""Where the mirror would stand."""


def explain(
    binding: Binding,
    number: int,
    there: Iterable[Listener],
    here: System = LINUX,
    excluded: Iterable[ExcludedRange] = (),
) -> Failure:
    """The failure of opening `binding` with error `number`.

    `there` are the known listeners of the side where the mirror would stand; `here` is the system
    of this computer, `excluded` the ranges that it reserves for that protocol, as far as known.
    """
    there = list(there)
    side = SIDES[_OTHER_SIDE[binding.origin]]
    system = here if binding.origin is Origin.MACHINE else LINUX
    why = system.numbers.get(number)
    if why is Why.IN_USE:
        return Failure(State.CONFLICT, _holder(binding, side, there))
    if why is Why.NO_ADDRESS:
        words = f"{side} has no address {binding.address}: {_no_address(binding, system)}"
        return Failure(State.DENIED, words)
    if why is Why.NO_FILES:
        words = f"Samehost has too many files open on {side}: {system.files}"
        return Failure(State.DENIED, words)
    if why is None:
        text = errno.errorcode.get(number, str(number)) if system is here else str(number)
        return Failure(State.DENIED, f"{side} does not let the port be opened ({text})")
    if system.reserves and _held(binding, there):
        return Failure(State.CONFLICT, _holder(binding, side, there))
    return Failure(State.DENIED, _denied(binding, side, system, excluded))


def _no_address(binding: Binding, system: System) -> str:
    if family_of(binding.address) == 6 and system is LINUX:
        return "have IPv6 there (`sysctl net.ipv6.conf.lo.disable_ipv6=0` as root), or ignore it"
    return "give it one, or ignore the port"


def _denied(binding: Binding, side: str, system: System, excluded: Iterable[ExcludedRange]) -> str:
    around = next((each for each in excluded if each.first <= binding.port <= each.last), None)
    advice, span = _RESTART_NAT, ""
    if around is not None:
        span = f", which keeps {around.first} to {around.last} for itself"
        if around.is_administered:
            advice = _DELETE.format(
                protocol=binding.protocol,
                first=around.first,
                count=around.last - around.first + 1,
            )
    return system.denied.format(
        side=side, port=binding.port, protocol=binding.protocol, range=span, advice=advice
    )


def _held(binding: Binding, there: Iterable[Listener]) -> list[Listener]:
    return [
        listener
        for listener in there
        if (listener.protocol, listener.port) == (binding.protocol, binding.port)
        and is_in_the_way(listener, binding.address)
    ]


def _holder(binding: Binding, side: str, there: Iterable[Listener]) -> str:
    held = _held(binding, there)
    holder = next((each for each in held if each.process or each.container), None)
    remedy = REMEDIES[binding.origin]
    if holder is None:
        return f"another program on {side} has {binding.protocol} port {binding.port}: {remedy}"
    words = describe_holder(holder, _OTHER_SIDE[binding.origin])
    advice = hint(holder, binding.machine)
    return f"{words}; {advice}" if advice else f"{words}: {remedy}"


_RESTART_NAT: Final = (
    "`net stop winnat` and `net start winnat`, as an administrator, free what Hyper-V took"
)
_DELETE: Final = (
    "`netsh interface ipv4 delete excludedportrange protocol={protocol} startport={first} "
    "numberofports={count}`, as an administrator, frees them"
)
