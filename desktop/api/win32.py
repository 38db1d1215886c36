"""Functions of Windows' libraries, and the errors that they leave.

Source: docs.python.org, ctypes (`use_last_error`: a copy for each thread, which Python's own calls
do not change).
Limits: has run under Wine only. Counterparts: the files of `desktop/api` for Windows use it.
"""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["last_error", "library", "windows_error"]


def library(name: str) -> Any:
    """A library of the system, whose functions leave their error for `last_error`."""
    return ctypes.CDLL(name, use_last_error=True)


def last_error() -> int:
    """The error of this thread's last call (winerror.h)."""
    number: int = getattr(ctypes, "get_last_error")()  # noqa: B009 - it is on Windows only
    return number


def windows_error(what: str, number: int) -> OSError:
    """An error of winerror.h; on Windows it is of the class that Python has for it."""
    return OSError(0, f"{what}: error {number} of Windows", None, number)
