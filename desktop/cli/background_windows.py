"""A daemon in the background on Windows: with a console of its own that nobody sees.

Source: learn.microsoft.com, "Process Creation Flags" (CREATE_NO_WINDOW: a console without a window,
which the programs that it starts share: with DETACHED_PROCESS each would open one of its own;
CREATE_NEW_PROCESS_GROUP: it takes no Ctrl-C), CreateFileW and "File Access Rights Constants"
(FILE_APPEND_DATA without FILE_WRITE_DATA: all is written at the end, whoever else writes;
FILE_SHARE_DELETE: the log can be renamed while it is open, as its rotation does).

Limits: has run under Wine only. Counterpart: `background.py`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Final

__all__ = ["OPTIONS", "open_log"]

CREATE_NEW_PROCESS_GROUP: Final = 0x0000_0200
CREATE_NO_WINDOW: Final = 0x0800_0000
"""winbase.h."""
OPTIONS: Final[dict[str, Any]] = {"creationflags": CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP}

APPEND: Final = 0x0000_0004 | 0x0010_0000
"""FILE_APPEND_DATA and SYNCHRONIZE, winnt.h."""
SHARE: Final = 0x1 | 0x2 | 0x4
"""Others may read, write, and rename or remove it: FILE_SHARE_READ, _WRITE, _DELETE, winnt.h."""
OPEN_ALWAYS: Final = 4
"""fileapi.h."""


def open_log(path: Path) -> int:
    """See `background.Background.open_log`."""
    winapi = importlib.import_module("_winapi")
    handle = winapi.CreateFile(str(path), APPEND, SHARE, winapi.NULL, OPEN_ALWAYS, 0, winapi.NULL)
    try:
        descriptor: int = importlib.import_module("msvcrt").open_osfhandle(handle, os.O_APPEND)
    except BaseException:
        winapi.CloseHandle(handle)
        raise
    return descriptor
