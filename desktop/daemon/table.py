"""The port table as front-ends see it: rows with their counts, a revision, and its changes.

Rules: rows come from the reconciler, counts from the traffic; every difference that is published
makes one revision. Counts are looked at once a second, not per flow. Counterpart: `desktop.api`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

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
from desktop.daemon.traffic import Counts, Traffic
from desktop.mirror.model import Binding, Origin, Row
from link.listener import Container

__all__ = ["PortTable"]


class PortTable:
    """The rows by binding. `clock_offset` turns the loop's time into UNIX time, in seconds."""

    def __init__(self, traffic: Traffic, clock_offset: float) -> None:
        self.feed = PortFeed()
        self.revision = 0
        self._traffic = traffic
        self._clock_offset = clock_offset
        self._rows: dict[Binding, tuple[Row, PortRow]] = {}

    def rows(self) -> list[PortRow]:
        """All rows, sorted."""
        self.count()
        return sorted((shown for _, shown in self._rows.values()), key=row_order)

    def containers(self) -> list[ContainerDetails]:
        """The containers of the rows, each once."""
        return _containers_of(row for row, _ in self._rows.values())

    def states(self) -> PortCounts:
        """Rows by state."""
        counts = Counter(str(row.state) for row, _ in self._rows.values())
        return PortCounts(**counts)

    def update(self, added: list[Row], changed: list[Row], removed: list[Row]) -> None:
        """Take the reconciler's changes, and publish them."""
        gone = [
            self._rows.pop(row.wish.binding)[1] for row in removed if row.wish.binding in self._rows
        ]
        new = [self._put(row) for row in added]
        same = []
        for row in changed:
            before = self._rows[row.wish.binding][1]
            after = self._put(row)
            if row_key(before) == row_key(after):
                same.append(after)
            else:
                gone.append(before)
                new.append(after)
        self._publish(new, same, gone, _containers_of([*removed, *changed, *added]))

    def count(self) -> None:
        """Look at the counts, and publish the rows whose counts changed."""
        changed, counted = [], []
        for binding in self._traffic.take_busy():
            known = self._rows.get(binding)
            if known is not None and self._put(known[0]) != known[1]:
                changed.append(self._rows[binding][1])
                counted.append(known[0])
        self._publish([], changed, [], _containers_of(counted))

    def _put(self, row: Row) -> PortRow:
        shown = _shown(row, self._traffic.of(row.wish.binding), self._clock_offset)
        self._rows[row.wish.binding] = (row, shown)
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


def _shown(row: Row, counts: Counts, clock_offset: float) -> PortRow:
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
        since=round(row.since + clock_offset, 3),
        machine=binding.machine,
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
        words.append(f"{counts.evicted} flows evicted: more clients at once than maxUdpFlows")
    if counts.dropped:
        words.append(f"{counts.dropped} datagrams dropped: more than could be passed on")
    return "; ".join(words)
