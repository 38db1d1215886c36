"""Which ports are busiest, and how a line of a menu names one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PySide6.QtCore import QCoreApplication

from desktop.api.types import PortRow, row_order
from gui.machine.words import cut
from gui.parts import data_size, plain
from gui.ports.addresses import WILDCARDS, endpoint, owner_of

__all__ = ["MOST_PORTS", "address", "busiest", "line"]

translate = QCoreApplication.translate

MOST_PORTS: Final = 5

LONGEST_NAME: Final = 40
"""Letters of a container's name in a menu."""

_LOCALHOST: Final = frozenset({*WILDCARDS, "127.0.0.1", "::1"})


def busiest(rows: Iterable[PortRow]) -> list[PortRow]:
    """The open ports with most flows now, then those that have carried most; at most MOST_PORTS.

    A port that neither has a flow nor has carried anything is not busy.
    """
    used = [row for row in rows if row.state == "active" and (row.flows or _carried(row))]
    used.sort(key=lambda row: (-row.flows, -_carried(row), row_order(row)))
    return used[:MOST_PORTS]


def address(row: PortRow) -> str:
    """Where it is reached: on this computer, or from a container."""
    is_here = row.origin == "machine"
    host = row.host_address if is_here else row.machine_address
    port = row.host_port if is_here else row.machine_port
    return endpoint("localhost" if host in _LOCALHOST else host, port)


def line(row: PortRow) -> str:
    """Address, owner and flows of a port, as one line. The owner's name is a stranger's word."""
    owner = cut(plain(owner_of(row)), LONGEST_NAME)
    flows = row.flows
    rest = translate("busiest", "%n flow(s)", "", flows) if flows else data_size(_carried(row))
    where = f"{row.protocol.upper()} {address(row)}"
    return "  ·  ".join(filter(None, [where, owner, rest]))


def _carried(row: PortRow) -> int:
    return row.bytes_in + row.bytes_out
