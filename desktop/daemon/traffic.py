"""Flows and bytes per mirror, counted where the relay counts them.

Rules: `in` is towards the desktop's programs, `out` is from them, whichever side listens. A flow
outlives its mirror, so do its numbers in the totals. What a UDP mirror had to drop or evict is
counted while the mirror stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


class _Entry:
    """Counts of one mirror. One that is gone leads to whoever has its place."""

    __slots__ = (
        "_binding",
        "_is_client_here",
        "_traffic",
        "dropped",
        "ended_in",
        "ended_out",
        "evicted",
        "is_forgotten",
        "is_gone",
        "is_touched",
        "live",
    )

    def __init__(self, traffic: Traffic, binding: Binding) -> None:
        self._traffic = traffic
        self._binding = binding
        self._is_client_here = binding.origin is Origin.MACHINE
        self.live: set[Flow] = set()
        self.ended_in = 0
        self.ended_out = 0
        self.evicted = 0
        self.dropped: Callable[[], int] = int
        self.is_touched = False
        self.is_forgotten = False
        self.is_gone = False

    def started(self, flow: Flow) -> None:
        """See `Traffic.started`."""
        if self.is_gone:
            self._traffic.started(self._binding, flow)
            return
        self.live.add(flow)
        self.is_forgotten = False
        self.is_touched = True

    def ended(self, flow: Flow) -> None:
        """See `Traffic.ended`."""
        if self.is_gone:
            self._traffic.ended(self._binding, flow)
            return
        self.live.discard(flow)
        self.is_touched = True
        if self._is_client_here:  # as `bytes_of`, without a call
            self.ended_in += flow.from_second
            self.ended_out += flow.from_first
        else:
            self.ended_in += flow.from_first
            self.ended_out += flow.from_second
        if self.is_forgotten:
            self._traffic.forget(self._binding)

    def bytes_of(self, flow: Flow) -> tuple[int, int]:
        """(in, out). A mirror's client is `first`: a desktop's program for origin machine."""
        if self._is_client_here:
            return flow.from_second, flow.from_first
        return flow.from_first, flow.from_second

    def evict(self, count: int) -> None:
        """So many flows had to make room."""
        self.evicted += count


class Traffic:
    """Counts of every mirror there was."""

    def __init__(self) -> None:
        self._entries: dict[Binding, _Entry] = {}
        self._forgotten_in = 0
        self._forgotten_out = 0
        self._ended_dropped = 0
        self._forgotten_evicted = 0

    def started(self, binding: Binding, flow: Flow) -> None:
        """A flow through `binding` is open."""
        self._entry(binding).started(flow)

    def ended(self, binding: Binding, flow: Flow) -> None:
        """It has ended. One that ended before it was `started` is counted all the same."""
        self._entry(binding).ended(flow)

    def watch(self, binding: Binding) -> Watch:
        """What tells of the flows of a mirror."""
        entry = self._entry(binding)
        return Watch(entry.started, entry.ended, entry.evict)

    def meter(self, binding: Binding, dropped: Callable[[], int]) -> None:
        """Where to ask how many datagrams a UDP mirror has dropped."""
        entry = self._entry(binding)
        if entry.dropped != dropped:  # a mirror that stands in the place of another
            self._ended_dropped += entry.dropped()
            entry.dropped = dropped

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
            more_in, more_out = entry.bytes_of(flow)
            bytes_in += more_in
            bytes_out += more_out
        return Counts(len(entry.live), bytes_in, bytes_out, entry.dropped(), entry.evicted)

    def total(self) -> Counts:
        """Counts of all, those of forgotten mirrors included."""
        flows, bytes_in, bytes_out = 0, self._forgotten_in, self._forgotten_out
        dropped, evicted = self._ended_dropped, self._forgotten_evicted
        for binding in self._entries:
            counts = self.of(binding)
            flows += counts.flows
            bytes_in += counts.bytes_in
            bytes_out += counts.bytes_out
            dropped += counts.dropped
            evicted += counts.evicted
        return Counts(flows, bytes_in, bytes_out, dropped, evicted)

    def take_busy(self) -> set[Binding]:
        """Mirrors whose counts may have changed since the last call."""
        busy = set()
        for binding, entry in self._entries.items():
            if entry.is_touched or entry.live:
                entry.is_touched = False
                busy.add(binding)
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
            self._forgotten_evicted += entry.evicted
            self._ended_dropped += entry.dropped()
            del self._entries[binding]
            entry.is_gone = True

    def _entry(self, binding: Binding) -> _Entry:
        entry = self._entries.get(binding)
        if entry is None:
            entry = self._entries[binding] = _Entry(self, binding)
        return entry
