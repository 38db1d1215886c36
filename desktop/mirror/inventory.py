"""What the agent has told of the machine's listeners: snapshot parts and deltas, assembled.

Rules: pure. Truth is a complete snapshot; until its last part has come, the old truth stands.
A delta of another generation or out of sequence is a gap: nothing is guessed, a new snapshot is
asked for. Duplicate adds and unknown removals are harmless. What is known of a container is told
once in a generation, and all its listeners share it. Counterpart: `vmagent/told.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from link.listener import Container, Listener
from link.messages import Delta, Snapshot

__all__ = ["MAX_TOTAL", "Inventory"]

MAX_TOTAL = 65_536 * 4
"""Listeners that are believed of one machine; an agent that tells of more is not believed."""


class Inventory:
    """The machine's listeners by id. `is_complete` once a whole snapshot has come."""

    def __init__(self) -> None:
        self.listeners: dict[int, Listener] = {}
        self.is_complete = False
        self._assembling: dict[int, Listener] = {}
        self._containers: dict[tuple[str, str], Container] = {}
        self._generation = 0
        self._sequence = 0

    def snapshot(self, part: Snapshot) -> bool:
        """Take a part. True once the snapshot is whole and `listeners` is new."""
        if part.first:
            self._assembling = {}
            self._containers = {}
            self._generation = part.generation
        elif part.generation != self._generation:
            return False
        self._learn(part.containers)
        if len(self._assembling) + len(part.listeners) <= MAX_TOTAL:
            self._assembling.update(self._described(part.listeners))
        if not part.last:
            return False
        self.listeners, self._assembling = self._assembling, {}
        self._sequence = 0
        self.is_complete = True
        return True

    def delta(self, delta: Delta) -> bool:
        """Take a change. False if there is a gap: ask for a snapshot."""
        expected = self._sequence + 1
        if delta.generation != self._generation or delta.sequence != expected:
            self._generation = 0
            return False
        self._sequence = delta.sequence
        self._learn(delta.containers)
        for listener_id in delta.removed:
            self.listeners.pop(listener_id, None)
        room = MAX_TOTAL - len(self.listeners)
        self.listeners.update(self._described(delta.added[: max(room, 0)]))
        return True

    def _learn(self, containers: Iterable[Container]) -> None:
        for container in containers:
            if len(self._containers) < MAX_TOTAL or container.key in self._containers:
                self._containers[container.key] = container

    def _described(self, listeners: Iterable[Listener]) -> Iterable[tuple[int, Listener]]:
        """By id, each with all that is known of its container."""
        for listener in listeners:
            reference = listener.container
            known = self._containers.get(reference.key) if reference else None
            yield listener.id, replace(listener, container=known) if known else listener
