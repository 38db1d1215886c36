"""The listener source of this computer, by its operating system.

Rules: the one place that knows which module serves which system, loaded only when asked for.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final, cast

from desktop.errors import SamehostError
from desktop.listeners.source import ListenerSource

__all__ = ["open_listener_source"]

_WITHOUT: Final = "set reachHost to false: containers' ports still reach this computer"
_SOURCES: Final = {
    "linux": (
        "desktop.listeners.linux",
        "LinuxListenerSource",
        "load the kernel module tcp_diag, or set reachHost to false",
    ),
    "darwin": ("desktop.listeners.macos", "MacListenerSource", _WITHOUT),
    "win32": ("desktop.listeners.windows", "WindowsListenerSource", _WITHOUT),
}
"""Module, class, and what to do if it fails, by `sys.platform`."""


def open_listener_source(platform: str = sys.platform) -> ListenerSource:
    """The source for a platform. Raises SamehostError if there is none or it refuses to work."""
    if platform not in _SOURCES:
        raise SamehostError(
            f"this computer's listeners cannot be read yet on {platform}",
            _WITHOUT,
        )
    module, name, remedy = _SOURCES[platform]
    try:
        return cast(ListenerSource, getattr(importlib.import_module(module), name)())
    except OSError as error:
        raise SamehostError(
            f"this computer's listeners cannot be read: {error.strerror or error}",
            remedy,
        ) from error
