"""Text of strangers, fit to be shown: nothing in it steers a terminal or spoils a line.

Rules: pure. Counterparts: whoever writes to a terminal or into the log; `gui/parts.py` has the
window's own (`plain`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["LINES", "printable"]

LINES: Final = "\n\t"
"""What is kept, besides, of a text of several lines."""


def printable(text: str, kept: str = "") -> str:
    """The text with a blank for each letter that cannot be printed, but for those of `kept`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in kept else " " for letter in text)
