"""The daemon's log, open in a command while the daemon may begin it anew. One file per system.

    append_to(path) ─▶ a descriptor that writes at its end
    read_from(path) ─▶ a descriptor that reads from its begin

Rules: whoever has the log open keeps nobody from renaming it, which is how it is begun anew: what
is open then is the old one. Counterparts: `logfile_posix.py`, `logfile_windows.py`; `launch.py`
hands it to the daemon, `logs.py` shows it.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Protocol, cast

__all__ = ["LogFile", "log_file"]


class LogFile(Protocol):
    """What each system's module gives."""

    def append_to(self, path: Path) -> int:
        """The file, made if need be, as a descriptor that writes at its end. Raises OSError."""

    def read_from(self, path: Path) -> int:
        """The file as a descriptor that reads. Raises FileNotFoundError, OSError."""


def log_file(name: str = os.name) -> LogFile:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(LogFile, importlib.import_module(f"desktop.cli.logfile_{kind}"))
