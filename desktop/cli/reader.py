"""Whether anybody still reads our output: a command that goes on for long ends with its reader.

    wait(stream) ─▶ returns when the stream says something, or raises BrokenPipeError

Rules: without this, `samehost ports --watch | head` would end with the next change only, when it
writes. A file, and a terminal that is there, never go. Counterparts: `reader_posix.py`,
`reader_windows.py`, one per system; `ports.py` and `logs.py` wait by it, `main.py` takes the error.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Protocol, cast

from desktop.api.stream import Stream

__all__ = ["ReaderSystem", "reader_system", "wait"]


class ReaderSystem(Protocol):
    """What each system's module gives."""

    def wait(self, output: int, stream: Stream | None, seconds: float | None) -> None:
        """Return when the stream has something, or, without one, after so many seconds.

        Raises BrokenPipeError once nobody reads from the descriptor `output`.
        """


def reader_system(name: str = os.name) -> ReaderSystem:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(ReaderSystem, importlib.import_module(f"desktop.cli.reader_{kind}"))


def wait(stream: Stream | None, seconds: float | None = None) -> None:
    """See `ReaderSystem.wait`, of our standard output."""
    reader_system().wait(sys.stdout.fileno(), stream, seconds)
