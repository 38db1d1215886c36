"""Pipes on Windows: with an end for overlapped calls, which alone the proactor can read.

Source: CPython's Lib/asyncio/windows_utils.py (`pipe`, `PipeHandle`, and what its `Popen` does with
them); learn.microsoft.com, "Anonymous Pipes": os.pipe gives those, without overlapped calls.
Limits: has run under Wine only; windows_utils is CPython's own. Counterpart: `pipes.py`.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["make"]


def make() -> tuple[Any, int]:
    """See `pipes.Pipes.make`."""
    utils = importlib.import_module("asyncio.windows_utils")
    winapi = importlib.import_module("_winapi")
    reading, writing = utils.pipe(overlapped=(True, False))
    try:
        descriptor: int = importlib.import_module("msvcrt").open_osfhandle(writing, os.O_WRONLY)
    except BaseException:
        winapi.CloseHandle(reading)
        winapi.CloseHandle(writing)
        raise
    return utils.PipeHandle(reading), descriptor
