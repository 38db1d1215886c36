"""The end of a log, however long it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["LONGEST_TAIL", "last_lines"]

LONGEST_TAIL: Final = 1 << 16
"""Bytes in which the last lines are looked for."""


def last_lines(path: Path, start: int, count: int, tail: int = LONGEST_TAIL) -> list[str]:
    """The last lines that were written after byte `start`, at most `count`, in `tail` bytes."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - tail))
            data = file.read(tail)
    except FileNotFoundError:
        return []
    return data.decode(errors="replace").splitlines()[-count:]
