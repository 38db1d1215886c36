"""Listeners of this computer on macOS: the kernel's tables by sysctl(3), or what netstat prints.

Rules: needs no privilege, and no entitlement under the hardened runtime. The tables tell the
process that used a socket last, of all users. When a table is not understood (`pcblist.py`), its
structures have changed with a new macOS: from then on netstat is asked, which knows them.

Limits: has never run on a Mac; tested with tables put together by the kernel's headers. Cost, as
others have measured it there: 0.5 to 1.5 ms for both tables, read and taken apart; netstat takes
some ten milliseconds of another process.
Counterparts: `pcblist.py` and `netstat.py` parse.
"""

from __future__ import annotations

import ctypes
import errno
import logging
from collections.abc import Callable
from typing import Any, Final

from desktop.listeners.netstat import Netstat, run_netstat
from desktop.listeners.pcblist import LayoutError, parse_pcblist
from desktop.listeners.source import Pace
from desktop.listeners.tables import Entry, TableListenerSource

__all__ = ["MacListenerSource", "Sysctl", "sysctl"]

SCAN_SECONDS: Final = Pace(0.25, 1.0)
NETSTAT_SECONDS: Final = Pace(2.0, 5.0)

TABLES: Final = {"tcp": "net.inet.tcp.pcblist_n", "udp": "net.inet.udp.pcblist_n"}

SPARE_BYTES: Final = 1 << 14
"""Room for sockets that come between the two calls, besides the eighth that the kernel adds."""
ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)

Sysctl = Callable[[str], bytes]
"""Gives what the kernel has by a name. Raises OSError."""


def sysctl(name: str, call: Callable[..., int] | None = None) -> bytes:
    """The whole of a variable that may grow while it is read (sysctl(3)). Raises OSError.

    `call` is sysctlbyname, with errno kept by ctypes.
    """
    call = call or _library().sysctlbyname
    size = ctypes.c_size_t()
    for _ in range(ATTEMPTS):
        if call(name.encode(), None, ctypes.byref(size), None, 0):
            break
        size.value += SPARE_BYTES
        buffer = ctypes.create_string_buffer(size.value)
        if not call(name.encode(), buffer, ctypes.byref(size), None, 0):
            return buffer.raw[: size.value]
        if ctypes.get_errno() != errno.ENOMEM:
            break
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {errno.errorcode.get(number, number)}")


def _library() -> Any:
    return ctypes.CDLL("/usr/lib/libSystem.B.dylib", use_errno=True)


class MacListenerSource(TableListenerSource):
    """See the module. Construction raises OSError where there is no such variable."""

    def __init__(
        self,
        read: Sysctl = sysctl,
        run: Callable[[], str] = run_netstat,
        *,
        name_of: Callable[[int], str | None] | None = None,
        own: int | None = None,
    ) -> None:
        super().__init__(self._tables, SCAN_SECONDS, name_of=name_of, own=own)
        self._sysctl = read
        self._run = run
        self._netstat: Netstat | None = None
        self._tables()

    def _tables(self) -> list[Entry]:
        if self._netstat is not None:
            return self._netstat.read()
        try:
            return [
                entry
                for protocol, name in TABLES.items()
                for entry in parse_pcblist(self._sysctl(name), protocol)
            ]
        except LayoutError as error:
            _log.warning("the kernel's table of sockets is new to us, netstat is asked: %s", error)
            self._netstat = Netstat(self._run)
            self.pace = NETSTAT_SECONDS
            return self._netstat.read()

    def close(self) -> None:
        """See `ListenerSource.close`."""
        super().close()
        if self._netstat is not None:
            self._netstat.close()
