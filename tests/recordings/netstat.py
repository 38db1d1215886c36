"""What `netstat -anv` of macOS prints, for TCP and for UDP: its columns of three times.

Columns: Apple's network_cmds `netstat.tproj/inet.c`, protopr: without counts of bytes (macOS 11
and before), with them (12 to 15), and with `process:pid` in place of `pid epid` (26). The rows are
made up in those columns; none is of a real Mac.
"""

from __future__ import annotations

from typing import Final

__all__ = ["NEW", "OLD", "WITH_BYTES"]

_TITLE: Final = "Active Internet connections (including servers)\n"
_BEGIN: Final = "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    "
_END: Final = " state    options\n"

OLD: Final = (
    f"{_TITLE}{_BEGIN}  rhiwat shiwat    pid   epid{_END}"
    "tcp4       0      0  127.0.0.1.8000         *.*                    LISTEN      131072"
    " 131072    512      0 0x0080 0x00000106\n"
    "tcp46      0      0  *.8080                 *.*                    LISTEN      131072"
    " 131072    600      0 0x0080 0x00000106\n"
    "tcp4       0      0  127.0.0.1.8000         127.0.0.1.50001        ESTABLISHED 131072"
    " 131072    512      0 0x0080 0x00000106\n"
    f"{_TITLE}{_BEGIN}  rhiwat shiwat    pid   epid{_END}"
    "udp6       0      0  *.9000                 *.*                                786896"
    "   9216    700      0 0x0080 0x00000106\n"
    "udp4       0      0  10.0.0.5.50002         10.0.0.1.443                       786896"
    "   9216    701      0 0x0080 0x00000106\n"
)

WITH_BYTES: Final = (
    f"{_TITLE}{_BEGIN}      rxbytes      txbytes  rhiwat  shiwat    pid   epid{_END}"
    "tcp4       0      0  *.22                   *.*                    LISTEN           "
    "      0            0  131072  131072      1      0 00080 00000006\n"
    "tcp6       0      0  ::1.5432               *.*                    LISTEN           "
    "      0            0  131072  131072    901      0 00080 00000006\n"
    "tcp6       0      0  fe80::1%lo0.7000       *.*                    LISTEN           "
    "      0            0  131072  131072    902      0 00080 00000006\n"
    "udp4       0      0  *.*                    *.*                                     "
    "      0            0  786896    9216    903      0 00080 00000006\n"
    "udp4       0      0  127.0.0.1.53           *.*                                     "
    "      0            0  786896    9216    904      0 00080 00000006\n"
)

NEW: Final = (
    f"{_TITLE}{_BEGIN}      rxbytes      txbytes  rhiwat  shiwat          process:pid   {_END}"
    "tcp4       0      0  127.0.0.1.3000         *.*                    LISTEN           "
    "      0            0  131072  131072             node:53082  00100 00000106\n"
    "tcp46      0      0  *.3283                 *.*                    LISTEN           "
    "      0            0  131072  131072 A Helper (Plugi:1039   00000 00000202\n"
    "tcp6       0      0  2001:db8:1234:5.443    *.*                    LISTEN           "
    "      0            0  131072  131072           nginx:77     00000 00000202\n"
    "udp46      0      0  *.51820                *.*                                     "
    "      0            0  786896    9216   wireguard-go:78     00000 00000202\n"
)
