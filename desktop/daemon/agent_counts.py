"""What a machine's agents have counted, over all agents that there were.

Rules: pure. A number that has become smaller is a new agent's: what the one before it counted is
kept. Counterpart: `vmagent/counts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["AgentCounts"]

PREFIX: Final = "agent_"
"""Before the agent's own names (`desktop.api.counters`)."""


class AgentCounts:
    """See the module."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def told(self, counts: Mapping[str, int]) -> None:
        """The agent's numbers now."""
        for name, last in self._last.items():
            if counts.get(name, 0) < last:
                self._before[name] = self._before.get(name, 0) + last
        self._last = dict(counts)

    def values(self) -> dict[str, int]:
        """All of them, by the names that people know."""
        return {
            PREFIX + name: self._before.get(name, 0) + self._last.get(name, 0)
            for name in {**self._before, **self._last}
        }
