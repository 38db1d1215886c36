"""Who was at a place on the machine's loopback before the desktop's port came there.

Rules: only 127.0.0.1 and ::1 are asked about, by their `StubKey`; a socket on a wildcard is at
both. What is not the caller's own counts, a container's and the machine's alike. One dump of the
listeners answers for any number of places, and one look at the connected UDP sockets.

Limits: those of `link.sockdiag` and `link.udp_table`. What comes a moment later is not seen.

Counterpart: `redirect`, which takes no place and so would notice neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from link.messages import StubKey
from link.sockdiag import ListeningSocket
from link.udp_table import connected_sockets

__all__ = ["clients_at", "served_places"]

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def served_places(sockets: Iterable[ListeningSocket], own: AbstractSet[int]) -> set[StubKey]:
    """Where these sockets listen on loopback, but those with an inode in `own`."""
    places = set()
    for each in sockets:
        if each.inode in own:
            continue
        places.add(StubKey(_WILDCARDS.get(each.address, each.address), each.port, each.protocol))
        if each.address == "::" and not each.v6only:
            places.add(StubKey("127.0.0.1", each.port, each.protocol))
    return places


def clients_at(places: Iterable[StubKey]) -> set[StubKey]:
    """Those of these UDP places to which some socket is connected already. Raises OSError."""
    wanted = {each for each in places if each.protocol == "udp"}
    if not wanted:
        return set()
    peers = {StubKey(e.peer_address, e.peer_port, "udp") for e in connected_sockets()}
    return wanted & peers
