"""Pipes on Windows: with an end for overlapped calls, which alone the proactor can read.

Source: CPython's Lib/asyncio/windows_utils.py (`pipe`, `PipeHandle`, and what its `Popen` does with
them); learn.microsoft.com, "Anonymous Pipes": os.pipe gives those, without overlapped calls.
Limits: has run under Wine only; windows_utils is CPython's own. Counterpart: `pipes.py`.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["make", "make_writing"]


def make() -> tuple[Any, int]:
    """See `pipes.Pipes.make`."""
    reading, writing = _utils().pipe(overlapped=(True, False))
    return _ends(reading, writing, os.O_WRONLY)


def make_writing() -> tuple[Any, int]:
    """See `pipes.Pipes.make_writing`."""
    # The loop reads what it writes to, as that is how it hears that nobody reads it any more.
    reading, writing = _utils().pipe(overlapped=(False, True), duplex=True)
    return _ends(writing, reading, os.O_RDONLY)


def _ends(ours: int, theirs: int, flags: int) -> tuple[Any, int]:
    """Two handles, as the loop takes one and a child the other."""
    winapi = importlib.import_module("_winapi")
    try:
        descriptor: int = importlib.import_module("msvcrt").open_osfhandle(theirs, flags)
    except BaseException:
        winapi.CloseHandle(ours)
        winapi.CloseHandle(theirs)
        raise
    return _utils().PipeHandle(ours), descriptor


def _utils() -> Any:
    return importlib.import_module("asyncio.windows_utils")
