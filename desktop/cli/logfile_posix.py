"""The daemon's log on Linux and macOS, where a file that is open can be renamed.

Counterpart: `logfile.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["append_to", "read_from"]


def append_to(path: Path) -> int:
    """See `logfile.LogFile.append_to`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def read_from(path: Path) -> int:
    """See `logfile.LogFile.read_from`."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
