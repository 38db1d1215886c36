"""How this computer starts what its user wants: chosen once, here and nowhere else."""

from __future__ import annotations

import sys

from desktop.autostart.interface import Autostart

__all__ = ["open_autostart"]


def open_autostart(platform: str = sys.platform) -> Autostart:
    """The way of a platform."""
    if platform == "darwin":
        from desktop.autostart.launchd import LaunchdAutostart

        return LaunchdAutostart()
    if platform == "win32":
        from desktop.autostart.windows import TaskAutostart

        return TaskAutostart()
    from desktop.autostart.systemd import SystemdAutostart

    return SystemdAutostart()
