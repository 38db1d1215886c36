"""Why a mirror could not be opened, in words for a person: the one place that reads errno here.

Rules: pure. EADDRINUSE is a conflict and names the other program where it may be seen; all else
is a denial with its remedy. Counterparts: the openers on either side.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from desktop.mirror.conflicts import SIDES, describe_holder, hint
from desktop.mirror.model import Binding, Failure, Origin, State
from desktop.mirror.overlap import is_in_the_way
from link.listener import Listener

__all__ = ["explain"]

_OTHER_SIDE: Final = {Origin.MACHINE: Origin.HOST, Origin.HOST: Origin.MACHINE}
"""Where the mirror would stand."""


def explain(binding: Binding, number: int, there: Iterable[Listener]) -> Failure:
    """The failure of opening `binding` with error `number`.

    `there` are the known listeners of the side where the mirror would stand.
    """
    side = SIDES[_OTHER_SIDE[binding.origin]]
    if number == errno.EADDRINUSE:
        return Failure(State.CONFLICT, _holder(binding, side, there))
    remedy = _REMEDIES.get(number)
    if remedy is None:
        text = errno.errorcode.get(number, str(number))
        return Failure(State.DENIED, f"{side} does not let the port be opened ({text})")
    return Failure(State.DENIED, remedy.format(side=side, port=binding.port, ip=binding.address))


def _holder(binding: Binding, side: str, there: Iterable[Listener]) -> str:
    held = [
        listener
        for listener in there
        if (listener.protocol, listener.port) == (binding.protocol, binding.port)
        and is_in_the_way(listener, binding.address)
    ]
    holder = next((each for each in held if each.process or each.container), None)
    if holder is None:
        return f"another program on {side} has {binding.protocol} port {binding.port}"
    words = describe_holder(holder, _OTHER_SIDE[binding.origin])
    advice = hint(holder, binding.machine)
    return f"{words}; {advice}" if advice else words


_PRIVILEGE: Final = (
    "ports below 1024 need a privilege on {side}: run "
    "`sysctl net.ipv4.ip_unprivileged_port_start={port}` as root, or remap the port"
)
_NO_ADDRESS: Final = "{side} has no address {ip}"
_NO_FILES: Final = "Samehost has too many files open on {side}: raise the limit with `ulimit -n`"
_REMEDIES: Final = {
    errno.EACCES: _PRIVILEGE,
    errno.EPERM: _PRIVILEGE,
    errno.EADDRNOTAVAIL: _NO_ADDRESS,
    errno.EAFNOSUPPORT: _NO_ADDRESS,
    errno.EMFILE: _NO_FILES,
    errno.ENFILE: _NO_FILES,
}
