"""What people and programs read: tables, colours, progress, JSON.

Rules: results go to standard output, all else to standard error. Names come from containers and
so from strangers: what is not printable never reaches a terminal. Colours only on a terminal,
and never with NO_COLOR (https://no-color.org).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self, TextIO

from desktop.errors import SamehostError
from desktop.printable import printable

__all__ = [
    "Progress",
    "Row",
    "clean",
    "mapping_lines",
    "paint",
    "print_error",
    "print_json",
    "print_json_line",
    "shown",
    "size",
    "table",
    "terminal_width",
    "warn",
]

Row = Mapping[str, Any]
"""A row of the port table, as it came."""

COLOURS: Final[Mapping[str, str]] = {
    "active": "32",
    "on": "32",
    "connected": "32",
    "running": "32",
    "ok": "32",
    "note": "36",
    "warning": "33",
    "error": "31",
    "skipped": "2",
    "conflict": "31",
    "denied": "31",
    "failed": "31",
    "pending": "33",
    "paused": "33",
    "off": "33",
    "ignored": "2",
    "stopped": "2",
    "not attached": "2",
}
"""SGR parameters (ECMA-48, 8.3.117) of the words for states: green, red, yellow, cyan, faint."""

USUAL_WIDTH: Final = 80
NARROWEST_COLUMN: Final = 8
GAP: Final = "  "
_UNIT: Final = 1024


def clean(text: str) -> str:
    """The text on one line, with nothing in it that could steer a terminal."""
    return printable(text)


def paint(word: str, stream: TextIO) -> str:
    """The word for a state, coloured if the stream shows colours."""
    code = COLOURS.get(word.strip())
    if code is None or not stream.isatty() or os.environ.get("NO_COLOR"):
        return word
    return f"\x1b[{code}m{word}\x1b[0m"


def shown(value: object) -> str:
    """A setting's value for people: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def size(count: int) -> str:
    """A number of bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _UNIT:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _UNIT
    return f"{amount:.1f} TiB"


def terminal_width(stream: TextIO) -> int | None:
    """Columns of the terminal; None if the stream is none, and lines may be long."""
    if not stream.isatty():
        return None
    try:
        # Zero is what a terminal says that does not know, such as a serial line.
        return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError):  # the latter by Windows, of what is no standard stream
        return USUAL_WIDTH


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    stream: TextIO,
    *,
    whole: Collection[str] = (),
    is_last_below: bool = False,
) -> str:
    """Lines with columns that fit the terminal; words for states have their colour.

    The columns of `whole` are never cut. With `is_last_below` the last is not either: where the
    terminal is too narrow for it, it is a line of its own below its row.
    """
    cells = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    available = terminal_width(stream)
    below: list[str] = [""] * len(cells)
    if is_last_below and available is not None and _line_width(widths) > available:
        _heading, *reasons = [row.pop() for row in cells]
        below[1:] = reasons
        widths.pop()
    _squeeze(widths, available, [each not in whole for each in head])
    lines = []
    for row, rest in zip(cells, below, strict=True):
        padded = [_fit(cell, width) for cell, width in zip(row, widths, strict=True)]
        padded[-1] = padded[-1].rstrip()
        lines.append(GAP.join(paint(cell, stream) for cell in padded).rstrip())
        if rest:
            lines.append(f"{GAP}{rest}")
    return "\n".join(lines)


def print_json(value: object) -> None:
    """A result as JSON, with indentation."""
    print(json.dumps(value, indent=2))


def print_json_line(value: object) -> None:
    """One of several results, on one line, at once."""
    print(json.dumps(value, separators=(",", ":")), flush=True)


def print_error(error: SamehostError) -> None:
    """What is wrong, and below it what to do."""
    print(f"samehost: {clean(error.message)}", file=sys.stderr)
    for line in error.remedy.splitlines():
        print(f"  {clean(line)}", file=sys.stderr)


def warn(message: str) -> None:
    """Something worth knowing that stops nothing."""
    print(f"samehost: {clean(message)}", file=sys.stderr)


class Progress:
    """Says what goes on: on a terminal one line that changes, else a line each.

    A context manager: on leaving, the line is wiped. Call it with a text.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_live = self._stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Make room on the terminal for something else."""
        self._write("")

    def __call__(self, text: str) -> None:
        """Say what goes on now."""
        if self._is_live:
            self._write(clean(text))
        else:
            print(clean(text), file=self._stream, flush=True)

    def _write(self, text: str) -> None:
        if self._is_live:
            width = terminal_width(self._stream) or NARROWEST_COLUMN
            # Carriage return, erase to the end of the line (ECMA-48, 8.3.41).
            print(f"\r\x1b[K{text[: width - 1]}", end="", file=self._stream, flush=True)


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _squeeze(widths: list[int], available: int | None, may_be_cut: Sequence[bool]) -> None:
    """Narrow the widest columns that may be until the line fits, or none can be any more."""
    columns = [column for column in range(len(widths)) if may_be_cut[column]]
    while columns and available is not None and _line_width(widths) > available:
        widest = max(columns, key=widths.__getitem__)
        if widths[widest] <= NARROWEST_COLUMN:
            return
        widths[widest] -= 1


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def mapping_lines(pairs: Sequence[tuple[str, str]]) -> str:
    """Lines of a name and what there is to say of it."""
    widest = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(widest)}{GAP}{text}".rstrip() for name, text in pairs)
