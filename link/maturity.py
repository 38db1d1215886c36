"""Which UDP sockets count as listeners: the rule of age for ports that the kernel chose.

To the kernel a UDP server and a client that sends without connecting look the same. A resolver
binds such a socket for each look-up (musl does) and closes it some milliseconds later; a server
bound to port 0 stays. So a socket on a port that the kernel may have chosen counts only when it
has been seen for `MATURITY_SECONDS`. One on another port was bound on purpose and counts at
once, as every TCP listener does.

Rules: pure; the caller passes `now` (seconds, any monotonic clock) and the kernel's range. What
was not seen at one look begins anew at the next. Remembers the UDP sockets of the last look, and
at most MOST_TRUSTED that were said to be bound on purpose.

Limits: unless somebody says so (`trust`), a bind on purpose to a port of that range waits as
well: a dump does not tell it from the kernel's own choice. So does each such socket that stands
already at the first look, since nothing is known of its age. A client that lives longer than that
counts as a listener.

Cost: 0.2 ms for 1000 UDP sockets, 2.7 ms for 10 000.

Counterparts: `link.sockdiag` gives sockets and range; `vmagent.watch.watcher` and
`desktop.listeners.linux` look.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

__all__ = ["MATURITY_SECONDS", "MOST_TRUSTED", "Maturity", "Seen"]

MATURITY_SECONDS: Final = 1.0
"""Seconds for which a socket on a port of the kernel's choice is watched before it counts."""

MOST_TRUSTED: Final = 4096
"""Sockets of which it is remembered that they were bound on purpose before they were seen."""


class Seen(Protocol):
    """What the rule needs to know of a socket."""

    @property
    def protocol(self) -> str:
        """Its protocol: "tcp" or "udp"."""

    @property
    def cookie(self) -> int:
        """What no other socket has while the system runs."""

    @property
    def port(self) -> int:
        """Its local port."""


_Socket = TypeVar("_Socket", bound=Seen)


class Maturity:
    """Lets through the sockets that count as listeners.

    Attributes:
        due: when the next of the sockets that wait is old enough; None if none waits.
        ports: ports of the kernel's range on which a UDP socket counts.
    """

    def __init__(self) -> None:
        self.due: float | None = None
        self.ports: frozenset[int] = frozenset()
        self._since: dict[tuple[int, int], float] = {}
        self._trusted: dict[int, None] = {}

    def trust(self, cookies: Iterable[int]) -> None:
        """These sockets were bound on purpose: they count as soon as they are seen."""
        self._trusted.update(dict.fromkeys(cookies))
        while len(self._trusted) > MOST_TRUSTED:
            del self._trusted[next(iter(self._trusted))]

    def sift(self, sockets: Iterable[_Socket], ephemeral: range, now: float) -> list[_Socket]:
        """Those of all the sockets there are `now` that count, in the same order.

        `ephemeral` are the ports that the kernel chooses from.
        """
        since: dict[tuple[int, int], float] = {}
        old: list[_Socket] = []
        ports: set[int] = set()
        due: float | None = None
        for each in sockets:
            if each.protocol == "udp":
                key = each.cookie, each.port
                if self._trusted and each.cookie in self._trusted:
                    del self._trusted[each.cookie]
                    self._since[key] = now - MATURITY_SECONDS
                first = since[key] = self._since.get(key, now)
                if each.port in ephemeral:
                    old_enough_at = first + MATURITY_SECONDS
                    if now < old_enough_at:
                        due = old_enough_at if due is None else min(due, old_enough_at)
                        continue
                    ports.add(each.port)
            old.append(each)
        self._since, self.due, self.ports = since, due, frozenset(ports)
        return old
