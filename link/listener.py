"""A real listener, as either end reports it: the vocabulary of the control session.

Rules: pure values, no I/O. Both the agent (listeners of containers) and the desktop (listeners
of this computer) describe what they found with these types; `desktop.mirror` decides what
becomes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from link.labels import Labels

__all__ = ["Container", "Listener", "canonical_address"]


def canonical_address(text: str) -> str:
    """The one spelling of an address that all comparisons use.

    IPv4-mapped IPv6 (`::ffff:127.0.0.1`) is the IPv4 address it stands for, since that is the
    family its peers come from (RFC 4291, 2.5.5.2). Raises ValueError for what is no address.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


@dataclass(frozen=True)
class Container:
    """The container that a socket belongs to. One object serves all its listeners.

    `name` and `image` are "" and `labels` empty until the engine has told them.
    """

    id: str
    name: str
    runtime: str
    image: str = ""
    labels: Labels = ()

    @property
    def key(self) -> tuple[str, str]:
        """Which container it is, whatever is known of it."""
        return self.id, self.runtime


@dataclass(frozen=True)
class Listener:
    """One listening socket.

    Attributes:
        id: the kernel's socket cookie; unique on its side while the machine runs.
        protocol: "tcp", or "udp" for a socket that is bound on purpose and has no peer.
        address: canonical text (see `canonical_address`); "0.0.0.0" and "::" are the wildcards.
            "0.0.0.N" and "::N" are all addresses of interface N (255 for those above) alone.
        port: 1 to 65535.
        v6only: False only for an IPv6 socket that also takes IPv4 peers (IPV6_V6ONLY off).
        inode: the socket's inode, by which an end knows its own sockets; 0 if not known.
        container: whose socket it is, None for a listener of the desktop.
        process: name of the program, None if it may not be seen.
        pid: its process id on its own side, None if it may not be seen.
    """

    id: int
    protocol: str
    address: str
    port: int
    v6only: bool = True
    inode: int = 0
    container: Container | None = None
    process: str | None = None
    pid: int | None = None

    @property
    def is_dual_stack(self) -> bool:
        """True for the IPv6 wildcard that also answers IPv4."""
        return self.address == "::" and not self.v6only
