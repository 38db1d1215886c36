"""Tables of Windows' sockets as GetExtendedTcpTable and GetExtendedUdpTable give them.

    table("tcp", 4, [Row("0.0.0.0", 80)])

Layout: learn.microsoft.com, `iphlpapi/nf-iphlpapi-getextendedtcptable` and the pages of
MIB_TCPROW_OWNER_PID, MIB_TCP6ROW_OWNER_PID, MIB_UDPROW_OWNER_PID and MIB_UDP6ROW_OWNER_PID. Put
together here; none of a real Windows was to be had. The upper two bytes of a port, which "contain
uninitialized data", and zone indices are not zero.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Row", "table"]

LISTEN: Final = 2
UNINITIALIZED: Final = b"\xa5\xa5"


@dataclass(frozen=True)
class Row:
    """A socket."""

    address: str
    port: int
    pid: int = 4
    state: int = LISTEN


def table(protocol: str, version: int, rows: Iterable[Row]) -> bytes:
    """A table with its count."""
    packed = [_row(protocol, version, row) for row in rows]
    return struct.pack("<I", len(packed)) + b"".join(packed)


def _row(protocol: str, version: int, row: Row) -> bytes:
    port = row.port.to_bytes(2, "big") + UNINITIALIZED
    pid = struct.pack("<I", row.pid)
    state = struct.pack("<I", row.state)
    if version == 4:
        local = socket.inet_pton(socket.AF_INET, row.address) + port
        return state + local + b"\0" * 8 + pid if protocol == "tcp" else local + pid
    local = socket.inet_pton(socket.AF_INET6, row.address) + struct.pack("<I", 7) + port
    return local + b"\0" * 24 + state + pid if protocol == "tcp" else local + pid
