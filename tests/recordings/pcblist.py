"""Tables of macOS's sockets as its kernel lays them out, put together by its headers.

    table("tcp", [Row("127.0.0.1", 80)])     of macOS 13 and later (Darwin 22)
    table("udp", [Row("::", 53)], SHORT)     of those before

Layout: XNU `bsd/netinet/in_pcblist.c` (get_pcblist_n), `bsd/netinet/in_pcb.h` (xinpgen, xinpcb_n),
`bsd/sys/socketvar.h` (xsocket_n, xsockbuf_n, xsockstat_n), `bsd/netinet/tcp_var.h` (xtcpcb_n), all
with `#pragma pack(4)`. No table of a real Mac was to be had. What is made up: handles, counts, and
bytes of fields that nobody reads, which are not zero, so that whoever reads them is found out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

__all__ = ["LONG", "SHORT", "Row", "header", "table"]

XSO_SOCKET: Final = 0x001
XSO_RCVBUF: Final = 0x002
XSO_SNDBUF: Final = 0x004
XSO_STATS: Final = 0x008
XSO_INPCB: Final = 0x010
XSO_TCPCB: Final = 0x020

SHORT: Final = 76
"""sizeof(struct xsocket_n) up to so_e_pid: Darwin 21 and before. A socket takes 384 bytes."""
LONG: Final = 104
"""With so_gencnt and what follows: Darwin 22. A socket takes 408 bytes."""

FILLING: Final = b"\xa5"
INPCB_BYTES: Final = 104
SOCKBUF_BYTES: Final = 32
STATS_BYTES: Final = 8 + 4 * 32
TCPCB_BYTES: Final = 204

LISTEN: Final = 1
ESTABLISHED: Final = 4


@dataclass(frozen=True)
class Row:
    """A socket. `handle` is the kernel's, `is_chosen` that the kernel chose the port."""

    address: str
    port: int
    pid: int = 501
    handle: int = 0x1234
    v6only: bool = True
    state: int = LISTEN
    foreign_port: int = 0
    is_chosen: bool = False


def header(count: int) -> bytes:
    """struct xinpgen."""
    return struct.pack("<IIQQ", 24, count, 77, 99)


def table(protocol: str, rows: Iterable[Row], socket_bytes: int = LONG) -> bytes:
    """The whole table of a protocol."""
    sockets = [_socket(protocol, row, socket_bytes) for row in rows]
    if not sockets:
        return header(0)
    return b"".join([header(len(sockets)), *sockets, header(len(sockets))])


def _socket(protocol: str, row: Row, socket_bytes: int) -> bytes:
    records = [
        _inpcb(row),
        _xsocket(row, socket_bytes),
        _record(XSO_RCVBUF, b"", SOCKBUF_BYTES),
        _record(XSO_SNDBUF, b"", SOCKBUF_BYTES),
        _record(XSO_STATS, b"", STATS_BYTES),
    ]
    if protocol == "tcp":
        fields = struct.pack("<Qi4ii", 0xDEAD, 0, 0, 0, 0, 0, row.state)
        records.append(_record(XSO_TCPCB, fields, TCPCB_BYTES))
    return b"".join(records)


def _record(kind: int, fields: bytes, size: int) -> bytes:
    record = (struct.pack("<II", size, kind) + fields).ljust(size, FILLING)
    return record.ljust(-(-size // 8) * 8, b"\0")


def _inpcb(row: Row) -> bytes:
    address = ip_address(row.address)
    mapped = getattr(address, "ipv4_mapped", None)
    if address.version == 4 or mapped is not None:
        vflag, local = 0x1, b"\0" * 12 + (mapped or address).packed
    else:
        is_dual = not row.v6only and address.is_unspecified
        vflag, local = 0x2 | 0x1 * is_dual, address.packed
    fields = (
        struct.pack("<Q", row.handle + 8)
        + struct.pack(">HH", row.foreign_port, row.port)
        + struct.pack("<QQ", row.handle + 16, 42)
        + struct.pack("<iI", 0x800000 | 0x40 * row.is_chosen, 0)
        + struct.pack("<BBBB", vflag, 64, 0, 0xA5)
        + b"\0" * 16
        + local
    )
    return _record(XSO_INPCB, fields, INPCB_BYTES)


def _xsocket(row: Row, size: int) -> bytes:
    fields = (
        struct.pack("<Q", row.handle)
        + struct.pack("<hxxIhhQ", 1, 2, 0, 0x80, row.handle + 8)
        + struct.pack("<ii4hHxxiI", 6, 2, 0, 0, 128, 0, 0, row.pid, 0)
        + struct.pack("<Iii", 501, row.pid, 0)
    )
    return _record(XSO_SOCKET, fields, size)
