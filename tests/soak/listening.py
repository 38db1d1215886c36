"""Which ports daemon and agent have open: those that there should be, and no others.

    this computer   daemon: the mirrors of the containers' ports
    the machine     agent: a stub for each active row of this computer's ports, unless it redirects;
                    and what it had at the start: its door, its redirect

Rules: exact, but looked at more than once: other programs of this computer open and close ports all
the time. What is found is what was so in every look. Counterparts: `scene.py`, `held.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.integration.samehost import Samehost
from tests.soak.held import held_by

__all__ = ["Kinds", "Looks", "Port", "residents"]

Port = tuple[str, str, int]
"""Protocol, address, number."""
Kinds = Counter[tuple[str, str]]
"""How many by protocol and address."""


class Looks:
    """Looks at a Samehost, until what is not as it should be is known."""

    def __init__(
        self, samehost: Samehost, mirrors: set[Port], at_start: Kinds, *, by_stubs: bool
    ) -> None:
        self._samehost = samehost
        self._mirrors = mirrors
        self._at_start = at_start
        self._by_stubs = by_stubs
        self._found: Counter[str] | None = None
        self._unasked: set[Port] | None = None

    def again(self) -> list[str]:
        """What was not right in each look so far, in words."""
        stubs = _stubs(self._samehost)
        mirrors, there = (
            listening(self._samehost.daemon()),
            listening(self._samehost.agent()),
        )
        unasked = there - stubs
        self._unasked = unasked if self._unasked is None else unasked & self._unasked
        now = Counter(f"daemon: {port} is open" for port in mirrors - self._mirrors)
        now += Counter(f"daemon: {port} is not open" for port in self._mirrors - mirrors)
        if self._by_stubs:
            now += Counter(f"agent: no stub {port}" for port in stubs - there)
        now += Counter(
            {f"agent: {kind} is missing": 1 for kind in self._at_start - _kinds(unasked)}
        )
        self._found = now if self._found is None else now & self._found
        more = _kinds(self._unasked) - self._at_start
        open_too = [port for port in sorted(self._unasked) if port[:2] in more]
        return sorted(self._found) + [f"agent: one of {open_too} is too many"] * bool(open_too)


def residents(samehost: Samehost) -> Kinds:
    """What the agent has open that no port of this computer asks for."""
    stubs = _stubs(samehost)
    return _kinds(listening(samehost.agent()) - stubs)


def listening(process: int) -> set[Port]:
    """Where a process takes connections, or datagrams from anybody."""
    _, inets = held_by(process)
    return {(each.protocol, each.address, each.port) for each in inets if each.listens}


def _kinds(ports: set[Port]) -> Kinds:
    return Counter((protocol, address) for protocol, address, _ in ports)


def _stubs(samehost: Samehost) -> set[Port]:
    rows: list[dict[str, Any]] = samehost.ports()
    return {
        (row["protocol"], row["machine_address"], row["machine_port"])
        for row in rows
        if row["origin"] == "host" and row["state"] == "active"
    }
