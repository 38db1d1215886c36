"""A page on a terminal that is drawn anew as it changes: that of `ports --watch`.

Rules: whatever the terminal showed before scrolls up and can be looked at again. Of a page that is
higher than the terminal the first lines are shown, and how many more there are: else every drawing
would scroll up one more copy. Limits: East Asian letters count as one column.
"""

from __future__ import annotations

import os
import re
from typing import Final, TextIO

from desktop.cli.output import USUAL_WIDTH

__all__ = ["Page"]

HOME: Final = "\x1b[H\x1b[J"
"""Cursor home, and erase what is after it (ECMA-48, 8.3.21 and 8.3.39): that scrolls nothing up."""

COLOURS: Final = re.compile(r"\x1b\[\d*m")

USUAL_SIZE: Final = os.terminal_size((USUAL_WIDTH, 24))


class Page:
    """What `stream`, a terminal, shows from now on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_new = True

    def draw(self, text: str) -> None:
        """Show this in the place of what was drawn before."""
        size = _size(self._stream)
        above = "\n" * size.lines if self._is_new else ""
        self._is_new = False
        print(f"{above}{HOME}{_fitting(text, size)}", file=self._stream, flush=True)


def _size(stream: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return USUAL_SIZE
    return size if all(size) else USUAL_SIZE  # zero: one that does not know


def _fitting(text: str, size: os.terminal_size) -> str:
    """The lines for which there is room, if one is left for the cursor."""
    lines = text.splitlines()
    heights = [max(1, -(-len(COLOURS.sub("", line)) // size.columns)) for line in lines]
    room = size.lines - 1
    if sum(heights) <= room:
        return text
    shown = 0
    while shown < len(lines) and sum(heights[: shown + 1]) < room:
        shown += 1
    return "\n".join([*lines[:shown], f"… {len(lines) - shown} more lines: samehost ports"])
