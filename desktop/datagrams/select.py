"""The UDP sockets of this computer: chosen once, here and nowhere else.

Rules: the one place that knows which module serves which system, loaded only when asked for.
"""

from __future__ import annotations

import sys

from link.datagrams.sockets import DatagramSockets

__all__ = ["open_datagram_sockets"]


def open_datagram_sockets(path: str, platform: str = sys.platform) -> DatagramSockets:
    """The UDP sockets that the setting `udpPath` asks for. Call it inside the running loop.

    "auto" takes the platform's own where there are any; everything else is portable.
    """
    if path == "auto" and platform == "linux":
        from link.datagrams.linux import LinuxDatagramSockets

        return LinuxDatagramSockets()
    from desktop.datagrams.portable import PortableDatagramSockets

    return PortableDatagramSockets()
