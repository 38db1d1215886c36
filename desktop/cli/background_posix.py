"""A daemon in the background on Linux and macOS: a session of its own.

Counterpart: `background.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

__all__ = ["OPTIONS", "open_log"]

OPTIONS: Final[dict[str, Any]] = {"start_new_session": True}
"""Ctrl-C, and the end of the terminal, are not for it (setsid(2))."""


def open_log(path: Path) -> int:
    """See `background.Background.open_log`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
