"""What Windows tells of its sockets: the tables of GetExtendedTcpTable and GetExtendedUdpTable.

    DWORD dwNumEntries, then so many rows; numbers are little-endian, addresses and the lower two
    bytes of a port as on the wire, zone indices of IPv6 aside.

Source: learn.microsoft.com, iphlpapi.h and tcpmib.h: MIB_TCPTABLE_OWNER_PID with
MIB_TCPROW_OWNER_PID (24 bytes), MIB_TCP6TABLE_OWNER_PID with MIB_TCP6ROW_OWNER_PID (56),
MIB_UDPTABLE_OWNER_PID with MIB_UDPROW_OWNER_PID (12), MIB_UDP6TABLE_OWNER_PID with
MIB_UDP6ROW_OWNER_PID (28).

Rules: pure; what is cut short is refused. A socket that takes both families is in both
tables, as netstat shows it: so each row is of its own family alone.
Limits: a row of UDP does not tell whether its socket is connected. Counterpart: `windows.py` asks.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from desktop.listeners.numbers import DYNAMIC_PORTS, Numbers
from desktop.listeners.tables import Entry
from link.listener import canonical_address

__all__ = ["LAYOUTS", "Layout", "TableCutShortError", "parse_table"]

MIB_TCP_STATE_LISTEN: Final = 2
"""tcpmib.h, MIB_TCP_STATE."""

_COUNT: Final = struct.Struct("<I")


class TableCutShortError(ValueError):
    """There are fewer bytes than the table says it has."""


class Layout(NamedTuple):
    """A row: state (of TCP), local address, local port in wire order, pid."""

    protocol: str
    version: int
    row: struct.Struct


LAYOUTS: Final = (
    Layout("tcp", 4, struct.Struct("<I4s2s2x4x4xI")),
    Layout("tcp", 6, struct.Struct("<16s4x2s2x16x4x4xII")),
    Layout("udp", 4, struct.Struct("<4s2s2xI")),
    Layout("udp", 6, struct.Struct("<16s4x2s2xI")),
)
"""Of each of the four tables. Rows of TCP over IPv6 have the state behind the addresses."""


def parse_table(data: bytes, layout: Layout, numbers: Numbers) -> list[Entry]:
    """The listeners of a table. Raises TableCutShortError."""
    family = socket.AF_INET if layout.version == 4 else socket.AF_INET6
    found = []
    for state, local, wire_port, pid in _rows(data, layout):
        port = int.from_bytes(wire_port, "big")
        if port == 0 or (layout.protocol == "tcp" and state != MIB_TCP_STATE_LISTEN):
            continue
        address = canonical_address(socket.inet_ntop(family, local))
        found.append(
            Entry(
                layout.protocol,
                address,
                port,
                v6only=True,
                cookie=numbers.of((layout.protocol, address, port, pid)),
                pid=pid,
                is_chosen=layout.protocol == "udp" and port in DYNAMIC_PORTS,
            )
        )
    return found


def _rows(data: bytes, layout: Layout) -> Iterator[tuple[int, bytes, bytes, int]]:
    if len(data) < _COUNT.size:
        raise TableCutShortError(f"{len(data)} bytes are no table")
    (count,) = _COUNT.unpack_from(data)
    end = _COUNT.size + count * layout.row.size
    if end > len(data):
        raise TableCutShortError(f"{count} rows take {end} bytes, not {len(data)}")
    for row in layout.row.iter_unpack(data[_COUNT.size : end]):
        if layout.protocol == "udp":
            yield 0, *row
        elif layout.version == 4:
            yield row
        else:
            local, port, state, pid = row
            yield state, local, port, pid
