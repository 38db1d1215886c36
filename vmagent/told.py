"""What a desktop has been told of listeners and their containers, and what to tell it next.

Rules: pure. A snapshot begins a generation, changes follow it in numbers. A container is told
before, or with, the first listener that is of it, and again when something about it differs: once
for all its listeners. Neither end forgets a container before the next snapshot, so there has to be
one when they have become too many.

Counterparts: `desktop.mirror.inventory` puts it together, `agent` sends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any, Final

from link.listener import Container, Listener
from link.messages import MAX_CONTAINERS, Delta, Snapshot, in_parts

__all__ = ["SPARE_CONTAINERS", "Told"]

SPARE_CONTAINERS: Final = 256
"""Containers told since the last snapshot that are always remembered, used or not."""


class Told:
    """What one desktop knows. Begin with `snapshot`."""

    def __init__(self) -> None:
        self._containers: dict[tuple[str, str], Container] = {}
        self._room = 0
        self._generation = 0
        self._sequence = 0

    @property
    def is_too_much(self) -> bool:
        """True when a snapshot is due, so that both ends forget containers that are gone."""
        return len(self._containers) > self._room

    def snapshot(self, generation: int, listeners: Iterable[Listener]) -> list[Snapshot]:
        """The whole truth, as the beginning of a generation."""
        self._generation = generation
        self._sequence = 0
        self._containers.clear()
        parts = self._parts(tuple(listeners))
        self._room = 2 * len(self._containers) + SPARE_CONTAINERS
        return [
            Snapshot(generation, index == 0, index == len(parts) - 1, some, containers)
            for index, (some, containers) in enumerate(parts)
        ]

    def delta(self, added: tuple[Listener, ...], removed: tuple[int, ...]) -> list[Delta]:
        """A change of that truth."""
        nothing: tuple[Any, ...] = ((), ())
        deltas = []
        for one, gone in zip_longest(self._parts(added), in_parts(removed)):
            some, containers = one or nothing
            self._sequence += 1
            deltas.append(Delta(self._generation, self._sequence, some, gone or (), containers))
        return deltas

    def _parts(self, listeners: tuple[Listener, ...]) -> list[tuple[Any, ...]]:
        """Listeners and containers per message; no listener goes before its container."""
        *tables, last = in_parts(self._news_of(listeners), MAX_CONTAINERS)
        first, *others = in_parts(listeners)
        return [
            *(((), table) for table in tables),
            (first, last),
            *((some, ()) for some in others),
        ]

    def _news_of(self, listeners: Iterable[Listener]) -> tuple[Container, ...]:
        """Their containers that were not told, or otherwise; they are from now on."""
        news: dict[tuple[str, str], Container] = {}
        previous = None
        for listener in listeners:
            container = listener.container
            if container is None or container is previous:
                continue
            previous = container
            if self._containers.get(container.key) != container:
                news[container.key] = self._containers[container.key] = container
        return tuple(news.values())
