"""The sockets of this computer, by its operating system: chosen once, here and nowhere else."""

from __future__ import annotations

import sys

from desktop.sockets.interface import HostSockets

__all__ = ["host_sockets"]


def host_sockets(platform: str = sys.platform) -> HostSockets:
    """Those of a platform."""
    if platform == "darwin":
        from desktop.sockets.macos import MacSockets

        return MacSockets()
    if platform == "win32":
        from desktop.sockets.windows import WindowsSockets

        return WindowsSockets()
    from desktop.sockets.linux import LinuxSockets

    return LinuxSockets()
