"""Where a port is, as text to read, to copy, to sort by and to open in a browser.

Rules: pure. A URL is built from a checked address, never taken from text: rows tell what strangers
chose. A wildcard stands for every address of this computer, so people get `localhost` for it.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from desktop.api.types import PortRow

__all__ = [
    "WILDCARDS",
    "address_to_copy",
    "browser_url",
    "endpoint",
    "numeric",
    "own_port",
    "owner_of",
]

WILDCARDS: Final = ("0.0.0.0", "::")
USUAL: Final = "127.0.0.1"
TLS_PORTS: Final = (443, 8443)
"""IANA: https, and the usual one of those who may not have that."""


def endpoint(address: str, port: int) -> str:
    """Address and port as one text; IPv6 has its brackets (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@lru_cache(maxsize=4096)
def numeric(address: str) -> tuple[int, int, str]:
    """What addresses sort by: IPv4, then IPv6, each as numbers; last what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return 9, 0, address
    return parsed.version, int(parsed), ""


def own_port(row: PortRow) -> int:
    """The port of the real listener: the one that rules name."""
    return row.machine_port if row.origin == "machine" else row.host_port


def owner_of(row: PortRow) -> str:
    """Whose the listener is, in a stranger's words; "" if that is not known."""
    return row.container.name if row.container else row.process or ""


def address_to_copy(row: PortRow) -> str:
    """What a client on this computer connects to."""
    address = "localhost" if row.host_address in WILDCARDS else row.host_address
    return endpoint(address, row.host_port)


def browser_url(row: PortRow) -> str:
    """The address of a web page there; "" if nothing can be open in a browser.

    `localhost` for 127.0.0.1 too: what pages are allowed to do often hangs on that name.
    """
    if row.protocol != "tcp" or row.state != "active" or numeric(row.host_address)[0] == 9:
        return ""
    scheme = "https" if row.host_port in TLS_PORTS else "http"
    is_usual = row.host_address in (*WILDCARDS, USUAL)
    address = "localhost" if is_usual else row.host_address
    return f"{scheme}://{endpoint(address, row.host_port)}/"
