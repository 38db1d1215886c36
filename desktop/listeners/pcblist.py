"""What macOS tells of its sockets: the records of `net.inet.tcp.pcblist_n` and `…udp.pcblist_n`.

    xinpgen, then for each socket xinpcb_n, xsocket_n, xsockbuf_n twice, xsockstat_n and, for TCP,
    xtcpcb_n; then xinpgen again. Each begins with its length and its kind, and takes a multiple of
    8 bytes.

Source: XNU `bsd/netinet/in_pcblist.c` (get_pcblist_n; order, rounding), `bsd/netinet/in_pcb.h`
(xinpgen, xinpcb_n, the bits of inp_vflag and inp_flags), `bsd/sys/socketvar.h` (kinds, xsocket_n),
`bsd/netinet/tcp_var.h` (xtcpcb_n, TCPS_LISTEN), all packed to 4 bytes. Up to Darwin 21 xsocket_n
ends after so_e_pid (76 bytes), since then it has 28 more: so a record is known by its kind and
ended by its length, what follows the fields that are read here may be anything, and nothing is
counted on to be at a fixed distance.

Rules: pure; what does not look like this raises LayoutError, in whole or not at all, and the caller
asks somebody else. Limits: these structures are the kernel's private ones, so a later macOS may
change them. The kernel's own flows in user space (Skywalk) have records of the same form.
Counterpart: `macos.py` asks for it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

from desktop.listeners.tables import Entry
from link.listener import canonical_address

__all__ = ["LayoutError", "parse_pcblist"]

HEADER_BYTES: Final = 24
"""struct xinpgen: length, count, two generations of 8 bytes."""

XSO_SOCKET: Final = 0x001
XSO_INPCB: Final = 0x010
XSO_TCPCB: Final = 0x020

INP_IPV4: Final = 0x1
INP_IPV6: Final = 0x2
INP_ANONPORT: Final = 0x40
"""The kernel has chosen the port."""
TCPS_LISTEN: Final = 1

_BEGINNING: Final = struct.Struct("<II")
_GENERATION: Final = struct.Struct("<IIQQ")
_INPCB: Final = struct.Struct("<8xQ2s2s8x8xI4xB3x16s16s")
"""xi_inpp, inp_fport, inp_lport, inp_flags, inp_vflag, foreign address, local address."""
_SOCKET: Final = struct.Struct("<8xQ48xII")
"""xso_so; so_uid and so_last_pid, at 64 and 68."""
_TCPCB: Final = struct.Struct("<36xi")
"""t_state."""

_LINK_LOCAL: Final = b"\xfe\x80"


class LayoutError(ValueError):
    """This is not what the kernel gave when this was written."""


class _Socket:
    """What the records of one socket have told so far."""

    __slots__ = ("address", "cookie", "flags", "is_bound", "pid", "port", "state", "vflag")

    def __init__(self, record: memoryview) -> None:
        self.cookie, foreign, port, self.flags, self.vflag, _, local = _INPCB.unpack_from(record)
        self.port = int.from_bytes(port, "big")
        self.is_bound = self.port > 0 and foreign == b"\0\0"
        self.address = _address(local, self.vflag)
        self.pid = 0
        self.state = 0

    def add(self, kind: int, record: memoryview) -> None:
        if kind == XSO_SOCKET:
            handle, _, self.pid = _SOCKET.unpack_from(record)
            self.cookie = handle or self.cookie
        elif kind == XSO_TCPCB:
            (self.state,) = _TCPCB.unpack_from(record)

    def entry(self, protocol: str) -> Entry | None:
        """The listener that it is, or None."""
        if not self.is_bound or not self.address:
            return None
        if protocol == "tcp" and self.state != TCPS_LISTEN:
            return None
        is_dual = self.vflag & (INP_IPV4 | INP_IPV6) == INP_IPV4 | INP_IPV6
        return Entry(
            protocol,
            self.address,
            self.port,
            v6only=not (is_dual and self.address == "::"),
            cookie=self.cookie,
            pid=self.pid,
            is_chosen=protocol == "udp" and bool(self.flags & INP_ANONPORT),
        )


def parse_pcblist(data: bytes, protocol: str) -> list[Entry]:
    """The listeners of a table; "tcp" or "udp" says of which. Raises LayoutError."""
    found: list[Entry] = []
    current: _Socket | None = None
    try:
        for kind, record in _records(memoryview(data)):
            if kind == XSO_INPCB:
                _keep(current, protocol, found)
                current = _Socket(record)
            elif current is not None:
                current.add(kind, record)
            else:
                raise LayoutError(f"a socket begins with a record of kind {kind:#x}")
    except struct.error as error:
        raise LayoutError(f"a record is too short: {error}") from error
    _keep(current, protocol, found)
    return found


def _keep(current: _Socket | None, protocol: str, found: list[Entry]) -> None:
    entry = None if current is None else current.entry(protocol)
    if entry is not None:
        found.append(entry)


def _records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Each record with its kind, without the two xinpgen."""
    if len(data) < HEADER_BYTES:
        raise LayoutError(f"{len(data)} bytes are no table")
    length, count, _, _ = _GENERATION.unpack_from(data)
    if length != HEADER_BYTES:
        raise LayoutError(f"the table begins with {length} bytes, not {HEADER_BYTES}")
    at = HEADER_BYTES
    while at + _BEGINNING.size <= len(data):
        length, kind = _BEGINNING.unpack_from(data, at)
        if length == HEADER_BYTES:
            return  # the xinpgen at the end
        if length < HEADER_BYTES:
            raise LayoutError(f"a record of {length} bytes")
        if length > len(data) - at:
            raise LayoutError(f"a record of {length} bytes reaches beyond the table")
        yield kind, data[at : at + length]
        at += -(-length // 8) * 8
    if count:
        raise LayoutError("the table has no end")


def _address(local: bytes, vflag: int) -> str:
    """The canonical text of a local address; "" for a socket of neither family."""
    if vflag & INP_IPV6:
        if local.startswith(_LINK_LOCAL):
            local = local[:2] + b"\0\0" + local[4:]  # the kernel keeps the interface there
        return canonical_address(socket.inet_ntop(socket.AF_INET6, local))
    return socket.inet_ntop(socket.AF_INET, local[12:]) if vflag & INP_IPV4 else ""
