"""The port table as front-ends see it: rows with their counts, a revision, and its changes.

Rules: rows come from the reconciler, counts from the traffic; every difference that is published
makes one revision. Counts, and whether the clock jumped, are looked at once a second, not per flow.
Counterpart: `desktop.api`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from desktop.api.subscription import PortFeed
from desktop.api.types import (
    ContainerDetails,
    ContainerRef,
    PortCounts,
    PortDelta,
    PortRow,
    row_key,
    row_order,
)
from desktop.daemon.host_mirrors import GUARDED
from desktop.daemon.traffic import Counts, Traffic
from desktop.daemon.wall_clock import WallClock
from desktop.mirror.model import Binding, Origin, Row, State
from link.listener import Container

__all__ = ["PortTable"]


class _Known(NamedTuple):
    """A row, as it is shown, and when it came into its state (`WallClock.moment`)."""

    row: Row
    shown: PortRow
    moment: float


class PortTable:
    """The rows by binding. `clock` knows when their states began."""

    def __init__(self, traffic: Traffic, clock: WallClock) -> None:
        self.feed = PortFeed()
        self.revision = 0
        self._traffic = traffic
        self._clock = clock
        self._rows: dict[Binding, _Known] = {}

    def rows(self) -> list[PortRow]:
        """All rows, sorted."""
        self.count()
        return sorted((known.shown for known in self._rows.values()), key=row_order)

    def containers(self) -> list[ContainerDetails]:
        """The containers of the rows, each once."""
        return _containers_of(known.row for known in self._rows.values())

    def states(self) -> PortCounts:
        """Rows by state."""
        counts = Counter(str(known.row.state) for known in self._rows.values())
        return PortCounts(**counts)

    def update(self, added: list[Row], changed: list[Row], removed: list[Row]) -> None:
        """Take the reconciler's changes, and publish them."""
        gone = [
            self._rows.pop(row.wish.binding).shown
            for row in removed
            if row.wish.binding in self._rows
        ]
        new = [self._put(row) for row in added]
        same = []
        for row in changed:
            before = self._rows[row.wish.binding].shown
            after = self._put(row)
            if row_key(before) == row_key(after):
                same.append(after)
            else:
                gone.append(before)
                new.append(after)
        self._publish(new, same, gone, _containers_of([*removed, *changed, *added]))

    def count(self) -> None:
        """Look at the counts and the clock, and publish the rows that they changed."""
        busy = self._traffic.take_busy()
        if self._clock.has_jumped():
            busy = set(self._rows)
        changed, counted = [], []
        for binding in busy:
            known = self._rows.get(binding)
            if known is not None and self._put(known.row) != known.shown:
                changed.append(self._rows[binding].shown)
                counted.append(known.row)
        self._publish([], changed, [], _containers_of(counted))

    def _put(self, row: Row) -> PortRow:
        binding = row.wish.binding
        known = self._rows.get(binding)
        if known is None or known.row.since != row.since:
            moment = self._clock.moment(row.since)
        else:
            moment = known.moment
        shown = _shown(row, self._traffic.of(binding), self._clock.shown(moment))
        self._rows[binding] = _Known(row, shown, moment)
        return shown

    def _publish(
        self,
        added: list[PortRow],
        changed: list[PortRow],
        removed: list[PortRow],
        containers: list[ContainerDetails],
    ) -> None:
        delta = PortDelta(self.revision + 1, added, changed, removed, containers)
        if delta.added or delta.changed or delta.removed:
            self.revision = delta.revision
            self.feed.publish(delta)


def _shown(row: Row, counts: Counts, since: float) -> PortRow:
    binding, listener = row.wish.binding, row.wish.listener
    reason = row.reason or _losses(counts)
    real, mirror = (listener.address, listener.port), (binding.address, binding.port)
    machine, host = (real, mirror) if binding.origin is Origin.MACHINE else (mirror, real)
    container = listener.container
    return PortRow(
        origin=str(binding.origin),
        protocol=binding.protocol,
        machine_address=machine[0],
        machine_port=machine[1],
        host_address=host[0],
        host_port=host[1],
        state=str(row.state),
        reason=reason,
        container=None if container is None else _reference(container),
        process=listener.process,
        flows=counts.flows,
        bytes_in=counts.bytes_in,
        bytes_out=counts.bytes_out,
        since=since,
        machine=binding.machine,
        guarded=row.state is State.ACTIVE and row.reason == GUARDED,
    )


def _containers_of(rows: Iterable[Row]) -> list[ContainerDetails]:
    """The containers of the rows, each once, as the last of its rows has it.

    A machine that was copied has containers with the ids of the other's.
    """
    found = {
        (row.wish.binding.machine, container.key): container
        for row in rows
        if (container := row.wish.listener.container) is not None
    }
    return [
        ContainerDetails(each.id, each.name, each.runtime, each.image, dict(each.labels), machine)
        for (machine, _), each in found.items()
    ]


def _reference(container: Container) -> ContainerRef:
    return ContainerRef(container.id, container.name, container.runtime)


def _losses(counts: Counts) -> str:
    """What a UDP mirror could not carry, in words; "" for nothing."""
    words = []
    if counts.evicted:
        evicted = _number(counts.evicted, "flow")
        words.append(f"{evicted} evicted: more clients at once than maxUdpFlows")
    if counts.dropped:
        dropped = _number(counts.dropped, "datagram")
        words.append(f"{dropped} dropped: more than could be passed on")
    return "; ".join(words)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
