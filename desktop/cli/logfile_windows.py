"""The daemon's log on Windows, where a file can be renamed if all who have it open allow that.

Source: learn.microsoft.com, CreateFileW and "File Access Rights Constants" (FILE_APPEND_DATA
without FILE_WRITE_DATA: all is written at the end, whoever else writes; FILE_SHARE_DELETE: it can
be renamed while it is open, which Python's own `open` does not grant).

Limits: writing has run under Wine only, reading has not. Counterpart: `logfile.py`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Final

__all__ = ["append_to", "read_from"]

APPEND: Final = 0x0000_0004 | 0x0010_0000
"""FILE_APPEND_DATA and SYNCHRONIZE, winnt.h."""
READ: Final = 0x8000_0000
"""GENERIC_READ, winnt.h."""
SHARE: Final = 0x1 | 0x2 | 0x4
"""Others may read, write, and rename or remove it: FILE_SHARE_READ, _WRITE, _DELETE, winnt.h."""
OPEN_EXISTING: Final = 3
OPEN_ALWAYS: Final = 4
"""fileapi.h."""


def append_to(path: Path) -> int:
    """See `logfile.LogFile.append_to`."""
    return _opened(path, APPEND, OPEN_ALWAYS, os.O_APPEND)


def read_from(path: Path) -> int:
    """See `logfile.LogFile.read_from`."""
    return _opened(path, READ, OPEN_EXISTING, os.O_RDONLY)


def _opened(path: Path, access: int, creation: int, flags: int) -> int:
    winapi = importlib.import_module("_winapi")
    handle = winapi.CreateFile(str(path), access, SHARE, winapi.NULL, creation, 0, winapi.NULL)
    try:
        descriptor: int = importlib.import_module("msvcrt").open_osfhandle(handle, flags)
    except BaseException:
        winapi.CloseHandle(handle)
        raise
    return descriptor
