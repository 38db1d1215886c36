"""Where a redirected connection arrives, and which port of the desktop that means.

    127.0.0.1, port N   127.77.(N >> 8).(N & 255)
    ::1, port N         fd53:616d:6568::(N), which is no address of any network (RFC 4193)

Rules: pure. Both are followed by the agent's own port, which says nothing. N is never 0.
Counterpart: `redirect.bpf.c` encodes for programs, and decodes for them.
"""

from __future__ import annotations

from typing import Final

from link.messages import StubKey

__all__ = ["PREFIX6", "asked_for"]

PREFIX4: Final = bytes((127, 77))
PREFIX6: Final = bytes.fromhex("fd53616d6568000000000000")
"""Of 12 bytes: the last four say the port, and two would do."""

_MOST_PORTS: Final = 1 << 16


def asked_for(address: bytes, protocol: str) -> StubKey | None:
    """What a client asked for that arrived at this packed address; None if it was not led there."""
    prefix, meant = (PREFIX6, "::1") if len(address) == 16 else (PREFIX4, "127.0.0.1")
    port = int.from_bytes(address[len(prefix) :], "big")
    if not address.startswith(prefix) or not 0 < port < _MOST_PORTS:
        return None
    return StubKey(meant, port, protocol)
