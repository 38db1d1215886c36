"""Which rows are shown: by text, by state and by direction.

Rules: pure. The text is words that all must be there, in any case and order. A word such as
`tcp:8000`, `:8000` or `udp:7000-7010` means whole ports, on either side; any other is looked for
in everything that the row shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from desktop.api.types import PortRow

__all__ = ["EVERYTHING", "PROBLEMS", "STATE_CHOICES", "RowFilter", "count_states"]

PROBLEMS: Final = "problems"

STATE_CHOICES: Final = {
    "": (),
    "active": ("active",),
    PROBLEMS: ("conflict", "denied"),
    "pending": ("pending",),
    "paused": ("paused",),
    "ignored": ("ignored",),
}
"""What can be chosen, and the states that it means; "" for all."""

HIGHEST_PORT: Final = 65535

_PORTS: Final = re.compile(r"(tcp|udp)?:([0-9]{1,5})?(-)?([0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class _Ports:
    """A word that means ports: of a protocol, or of both ("")."""

    protocol: str
    first: int
    last: int

    def matches(self, row: PortRow) -> bool:
        """True if it means this row."""
        return self.protocol in ("", row.protocol) and (
            self.first <= row.host_port <= self.last or self.first <= row.machine_port <= self.last
        )


def _ports(word: str) -> _Ports | None:
    found = _PORTS.fullmatch(word)
    if found is None:
        return None
    protocol, first, dash, last = found.groups()
    is_open = dash or not first  # also what is only half typed means something
    return _Ports(
        protocol or "", int(first or 0), int(last or (HIGHEST_PORT if is_open else first))
    )


@dataclass(frozen=True)
class RowFilter:
    """What is asked for. `state` is one of STATE_CHOICES; `origin` "machine", "host" or ""."""

    text: str = ""
    state: str = ""
    origin: str = ""

    @property
    def is_empty(self) -> bool:
        """True if it lets everything through."""
        return not (self._words or self.state or self.origin)

    @property
    def needs_text(self) -> bool:
        """True if what a row shows has to be known."""
        return bool(self._plain)

    def matches(self, row: PortRow, shown: str) -> bool:
        """True if the row is asked for; `shown` is what it shows, casefolded."""
        return (
            (not self.origin or row.origin == self.origin)
            and (not self.state or row.state in STATE_CHOICES[self.state])
            and all(ports.matches(row) for ports in self._ports)
            and all(word in shown for word in self._plain)
        )

    @cached_property
    def _words(self) -> tuple[str, ...]:
        return tuple(self.text.casefold().split())

    @cached_property
    def _ports(self) -> tuple[_Ports, ...]:
        return tuple(ports for word in self._words if (ports := _ports(word)))

    @cached_property
    def _plain(self) -> tuple[str, ...]:
        return tuple(word for word in self._words if not _PORTS.fullmatch(word))


EVERYTHING: Final = RowFilter()


def count_states(states: Iterable[tuple[str, int]]) -> dict[str, int]:
    """How many rows each of STATE_CHOICES has, from how many each state has."""
    counts = dict(states)
    found = {
        choice: sum(counts.get(state, 0) for state in meant)
        for choice, meant in STATE_CHOICES.items()
    }
    return found | {"": sum(counts.values())}
