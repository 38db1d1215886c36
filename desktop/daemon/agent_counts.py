"""What a machine's agents have counted, over all agents that there were.

Rules: pure. A new agent begins at 0, and what those before it counted is kept. An agent that is
linked to anew goes on, and tells all again. Names that nobody knows are not kept. Counterpart:
`vmagent/counts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from desktop.api.counters import MACHINE_COUNTERS

__all__ = ["AgentCounts"]

PREFIX: Final = "agent_"
"""Before the agent's own names (`desktop.api.counters`)."""


class AgentCounts:
    """See the module."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._now: dict[str, int] = {}

    def begin(self) -> None:
        """There is a new agent."""
        self._before = self._sums()
        self._now = {}

    def told(self, counts: Mapping[str, int]) -> None:
        """The agent's numbers now."""
        self._now = {
            name: count for name, count in counts.items() if PREFIX + name in MACHINE_COUNTERS
        }

    def values(self) -> dict[str, int]:
        """All of them, by the names that people know."""
        return {PREFIX + name: count for name, count in self._sums().items()}

    def _sums(self) -> dict[str, int]:
        names = {**self._before, **self._now}
        return {name: self._before.get(name, 0) + self._now.get(name, 0) for name in names}
