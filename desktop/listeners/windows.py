"""Listeners of this computer on Windows: GetExtendedTcpTable and GetExtendedUdpTable, by ctypes.

Rules: needs no privilege; both families; the process is that which made the socket. A table may
grow between the call that tells its size and the one that reads it: the call is made again with
more room, a few times.

Limits: has run under Wine only; tested with tables put together by the documentation. UDP sockets
of clients on ports that Windows chose count as servers after a second, connected or not, since
nothing tells them apart. Counterpart: `iphlpapi.py` parses.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Final

from desktop.listeners.iphlpapi import LAYOUTS, Layout, TableCutShortError, parse_table
from desktop.listeners.numbers import Numbers
from desktop.listeners.source import Pace
from desktop.listeners.tables import Entry, TableListenerSource

__all__ = ["ReadTable", "WindowsListenerSource", "read_table"]

SCAN_SECONDS: Final = Pace(0.5, 2.0)

AF_INET: Final = 2
AF_INET6: Final = 23
"""winsock2.h; AF_INET6 is another number elsewhere."""
TCP_TABLE_OWNER_PID_LISTENER: Final = 3
UDP_TABLE_OWNER_PID: Final = 1
"""iprtrmib.h: TCP_TABLE_CLASS, UDP_TABLE_CLASS."""
ERROR_INSUFFICIENT_BUFFER: Final = 122
"""winerror.h."""

FIRST_BYTES: Final = 1 << 14
ATTEMPTS: Final = 10

ReadTable = Callable[[Layout], bytes]
"""Gives one of the four tables. Raises OSError."""


def read_table(layout: Layout, call: Callable[..., int] | None = None) -> bytes:
    """The whole of a table. Raises OSError. `call` is the function of iphlpapi for its protocol."""
    is_tcp = layout.protocol == "tcp"
    name = "GetExtendedTcpTable" if is_tcp else "GetExtendedUdpTable"
    # On 64-bit Windows, the only one with WSL 2, there is one calling convention.
    call = call or getattr(ctypes.CDLL("iphlpapi"), name)
    family = AF_INET if layout.version == 4 else AF_INET6
    kind = TCP_TABLE_OWNER_PID_LISTENER if is_tcp else UDP_TABLE_OWNER_PID
    size = ctypes.c_uint32(FIRST_BYTES)
    number = 0
    for _ in range(ATTEMPTS):
        buffer = ctypes.create_string_buffer(size.value)
        number = call(buffer, ctypes.byref(size), 0, family, kind, 0)
        if number == 0:
            return buffer.raw[: size.value]
        if number != ERROR_INSUFFICIENT_BUFFER:
            raise OSError(number, f"{name} failed ({number}: {os.strerror(number)})")
        size.value += size.value // 4
    raise OSError(number, f"{name}: the table grows faster than it can be read")


class WindowsListenerSource(TableListenerSource):
    """See the module. Construction raises OSError where there are no such tables."""

    def __init__(
        self,
        read: ReadTable = read_table,
        *,
        name_of: Callable[[int], str | None] | None = None,
        own: int | None = None,
    ) -> None:
        super().__init__(self._tables, SCAN_SECONDS, name_of=name_of, own=own)
        self._table = read
        self._numbers = Numbers()
        self._tables()

    def _tables(self) -> list[Entry]:
        try:
            with self._numbers:
                return [
                    entry
                    for layout in LAYOUTS
                    for entry in parse_table(self._table(layout), layout, self._numbers)
                ]
        except TableCutShortError as error:
            raise OSError(str(error)) from error
