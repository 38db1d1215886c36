"""Flows and bytes per mirror, counted where the relay counts them.

Rules: `in` is towards the desktop's programs, `out` is from them, whichever side listens. A flow
outlives its mirror, so do its numbers in the totals. What a UDP mirror had to drop or evict is
counted while the mirror stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from desktop.mirror.model import Binding, Origin
from link.datagrams.flow import Watch
from link.relay.relay import Flow

__all__ = ["Counts", "Traffic"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Flows open now, and so far: bytes, datagrams dropped, flows evicted for want of room."""

    flows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    evicted: int = 0


@dataclass(slots=True)
class _Entry:
    live: set[Flow] = field(default_factory=set)
    ended_in: int = 0
    ended_out: int = 0
    evicted: int = 0
    dropped: Callable[[], int] = int
    is_forgotten: bool = False


class Traffic:
    """Counts of every mirror there was."""

    def __init__(self) -> None:
        self._entries: dict[Binding, _Entry] = {}
        self._touched: set[Binding] = set()
        self._forgotten_in = 0
        self._forgotten_out = 0

    def started(self, binding: Binding, flow: Flow) -> None:
        """A flow through `binding` is open."""
        entry = self._entries.setdefault(binding, _Entry())
        entry.is_forgotten = False
        entry.live.add(flow)
        self._touched.add(binding)

    def ended(self, binding: Binding, flow: Flow) -> None:
        """It has ended. One that ended before it was `started` is counted all the same."""
        entry = self._entries.setdefault(binding, _Entry())
        entry.live.discard(flow)
        self._touched.add(binding)
        bytes_in, bytes_out = _bytes(binding, flow)
        entry.ended_in += bytes_in
        entry.ended_out += bytes_out
        if entry.is_forgotten:
            self.forget(binding)

    def watch(self, binding: Binding) -> Watch:
        """What tells of the UDP flows of a mirror."""

        def evicted(count: int) -> None:
            self._entries.setdefault(binding, _Entry()).evicted += count

        return Watch(
            lambda flow: self.started(binding, flow),
            lambda flow: self.ended(binding, flow),
            evicted,
        )

    def meter(self, binding: Binding, dropped: Callable[[], int]) -> None:
        """Where to ask how many datagrams a UDP mirror has dropped."""
        self._entries.setdefault(binding, _Entry()).dropped = dropped

    def flows(self, protocol: str) -> int:
        """Flows open now through mirrors of a protocol."""
        return sum(
            len(entry.live)
            for binding, entry in self._entries.items()
            if binding.protocol == protocol
        )

    def of(self, binding: Binding) -> Counts:
        """Counts of one mirror."""
        entry = self._entries.get(binding)
        if entry is None:
            return Counts()
        bytes_in, bytes_out = entry.ended_in, entry.ended_out
        for flow in entry.live:
            more_in, more_out = _bytes(binding, flow)
            bytes_in += more_in
            bytes_out += more_out
        return Counts(len(entry.live), bytes_in, bytes_out, entry.dropped(), entry.evicted)

    def total(self) -> Counts:
        """Counts of all, those of forgotten mirrors included."""
        flows, bytes_in, bytes_out = 0, self._forgotten_in, self._forgotten_out
        for binding in self._entries:
            counts = self.of(binding)
            flows += counts.flows
            bytes_in += counts.bytes_in
            bytes_out += counts.bytes_out
        return Counts(flows, bytes_in, bytes_out)

    def take_busy(self) -> set[Binding]:
        """Mirrors whose counts may have changed since the last call."""
        busy, self._touched = self._touched, set()
        busy.update(binding for binding, entry in self._entries.items() if entry.live)
        return busy

    def forget(self, binding: Binding) -> None:
        """Its row is gone: once without flows, only the totals remember it."""
        entry = self._entries.get(binding)
        if entry is None:
            return
        entry.is_forgotten = True
        if not entry.live:
            self._forgotten_in += entry.ended_in
            self._forgotten_out += entry.ended_out
            del self._entries[binding]


def _bytes(binding: Binding, flow: Flow) -> tuple[int, int]:
    """(in, out). A mirror's client is `first`: a desktop's program for origin machine."""
    if binding.origin is Origin.MACHINE:
        return flow.from_second, flow.from_first
    return flow.from_first, flow.from_second
