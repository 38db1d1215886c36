"""The two lists of rules as rows of a table: three words each, and how they are written.

Rules: pure. Which rules are good is the daemon's to say (`check_setting`); here is only how one is
taken apart into columns and put together again, without loss, and which row a message is about.
Counterpart: `model.py` holds the rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, Protocol

__all__ = ["IGNORE", "REMAP", "IgnoreForm", "RemapForm", "Row", "RuleForm"]

Row = tuple[str, str, str]
"""The words of a row, by column."""

PORT_COLUMN: Final = 1
"""In both tables, the column that a new row is begun with."""

_REMAP_TEXT: Final = re.compile(r"\W*(tcp|udp):(\d+)\W+(\d+)\W*", re.ASCII)
_NAMED: Final = re.compile(r'[a-zA-Z]+\[("(?:[^"\\]|\\.)*")\]')
_NUMBERED: Final = re.compile(r"[a-zA-Z]+\[(\d+)\]")


class RuleForm(Protocol):
    """How a setting's value is a list of rows, and a row a line of text."""

    key: str
    blank: Row

    def rows(self, value: object) -> list[Row]:
        """The rows of the setting's value."""

    def value(self, rows: Sequence[Row]) -> object:
        """The setting's value that the rows stand for."""

    def text(self, row: Row) -> str:
        """A row as a line, to be copied."""

    def parse(self, text: str) -> Row:
        """The row of such a line; what is not understood is in it all the same."""

    def changed(self, row: Row, column: int, word: str, is_new: bool) -> Row:
        """The row with another word in a column, while it is being typed."""

    def tidied(self, row: Row) -> Row:
        """The row when typing is over."""

    def twin(self, rows: Sequence[Row]) -> int | None:
        """The first row that cannot be written down beside an earlier one."""

    def row_of(self, message: str, rows: Sequence[Row]) -> int | None:
        """The row that the daemon's words about the value are about, if it is one."""


class IgnoreForm:
    """The setting `ignore`: columns protocol, port or range, side ("" for both)."""

    key = "ignore"
    blank: Row = ("tcp", "", "")

    def rows(self, value: object) -> list[Row]:
        """See `RuleForm`."""
        return [self.parse(str(text)) for text in value] if isinstance(value, list) else []

    def value(self, rows: Sequence[Row]) -> object:
        """See `RuleForm`."""
        return [self.text(row) for row in rows]

    def text(self, row: Row) -> str:
        """See `RuleForm`. A port with a colon in it is a whole rule that is being typed."""
        protocol, ports, side = row
        if ":" in ports or not protocol:
            return ports
        return f"{side}:{protocol}:{ports}" if side else f"{protocol}:{ports}"

    def parse(self, text: str) -> Row:
        """See `RuleForm`."""
        words = text.split(":")
        if len(words) == 2 and all(words):
            return words[0], words[1], ""
        if len(words) == 3 and all(words):
            return words[1], words[2], words[0]
        return "", text, ""

    def changed(self, row: Row, column: int, word: str, is_new: bool) -> Row:  # noqa: ARG002
        """See `RuleForm`."""
        return _replaced(row, column, word)

    def tidied(self, row: Row) -> Row:
        """See `RuleForm`. A whole rule that was typed as the port takes its columns."""
        protocol, ports, side = row
        ports = "".join(ports.split()).lower()
        return self.parse(ports) if ":" in ports else (protocol, ports, side)

    def twin(self, rows: Sequence[Row]) -> int | None:  # noqa: ARG002
        """See `RuleForm`. A rule that is there twice is a rule."""
        return None

    def row_of(self, message: str, rows: Sequence[Row]) -> int | None:
        """See `RuleForm`: `ignore[2] …`."""
        found = _NUMBERED.match(message)
        row = int(found[1]) if found else len(rows)
        return row if row < len(rows) else None


class RemapForm:
    """The setting `remap`: columns protocol, port in the machine, port of this computer."""

    key = "remap"
    blank: Row = ("tcp", "", "")

    def rows(self, value: object) -> list[Row]:
        """See `RuleForm`."""
        if not isinstance(value, dict):
            return []
        return [(*_protocol_and_port(str(name)), str(port)) for name, port in value.items()]

    def value(self, rows: Sequence[Row]) -> object:
        """See `RuleForm`."""
        return {self._name(row): int(row[2]) if row[2].isdecimal() else row[2] for row in rows}

    def text(self, row: Row) -> str:
        """See `RuleForm`."""
        return f"{self._name(row)}: {row[2]}"

    def parse(self, text: str) -> Row:
        """See `RuleForm`. Also as the settings file has it: `"tcp:8000": 18000`."""
        found = _REMAP_TEXT.fullmatch(text.lower())
        if found:
            return found[1], found[2], found[3]
        return (*_protocol_and_port(text), "")

    def changed(self, row: Row, column: int, word: str, is_new: bool) -> Row:
        """See `RuleForm`. In a new row the second port follows the first until it is typed."""
        follows = is_new and column == PORT_COLUMN and row[2] in ("", row[1])
        changed = _replaced(row, column, word)
        return _replaced(changed, 2, word) if follows else changed

    def tidied(self, row: Row) -> Row:
        """See `RuleForm`."""
        return row[0], row[1].strip(), row[2].strip()

    def twin(self, rows: Sequence[Row]) -> int | None:
        """See `RuleForm`. An object has a name only once."""
        seen: set[str] = set()
        for index, row in enumerate(rows):
            name = self._name(row)
            if name in seen:
                return index
            seen.add(name)
        return None

    def row_of(self, message: str, rows: Sequence[Row]) -> int | None:
        """See `RuleForm`: `remap["tcp:8000"] …`."""
        found = _NAMED.match(message)
        name = json.loads(found[1]) if found else None
        return next((index for index, row in enumerate(rows) if self._name(row) == name), None)

    def _name(self, row: Row) -> str:
        return f"{row[0]}:{row[1]}" if row[0] else row[1]


def _replaced(row: Row, column: int, word: str) -> Row:
    words = list(row)
    words[column] = word
    return words[0], words[1], words[2]


def _protocol_and_port(name: str) -> tuple[str, str]:
    protocol, colon, port = name.partition(":")
    return (protocol, port) if colon and protocol else ("", name)


IGNORE: Final = IgnoreForm()
REMAP: Final = RemapForm()
