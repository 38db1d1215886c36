"""What one read of a stream brings, flow by flow: datagrams of one size go on as one train.

Where many flows speak in turn each frame has one datagram, and to send that costs far more than to
read it. A read has several of each flow as soon as there is much to do: together they take one
call.

Rules: pure. The datagrams of a flow keep their order; those of different flows, which no program
can rely on, may change places within a read. A train is what `grouping.py` says it is. A frame that
comes alone is handed on as it is. Counterpart: `stream.py`, which reads.
"""

from __future__ import annotations

from link.datagrams.frames import OnData
from link.datagrams.grouping import most_bytes

__all__ = ["Gathering"]


class Gathering:
    """Frames until `flush`, which hands their trains to `on_data`. Payloads live until then."""

    def __init__(self, on_data: OnData) -> None:
        self._on_data = on_data
        self._trains: dict[int, tuple[int, int, list[memoryview]]] = {}

    def add(self, flow: int, segment: int, payload: memoryview) -> None:
        """Take a frame: to its flow's train if it fits there, or else that is handed on."""
        size = len(payload)
        train = self._trains.get(flow)
        if train is not None:
            its_segment, its_size, parts = train
            if (
                its_segment
                and its_size % its_segment == 0
                and (segment == its_segment or 0 < size == segment < its_segment)
                and its_size + size <= most_bytes(its_segment)
            ):
                parts.append(payload)
                self._trains[flow] = its_segment, its_size + size, parts
                return
            self._hand_on(flow, its_segment, parts)
        self._trains[flow] = segment, size, [payload]

    def flush(self) -> None:
        """Hand on all there is."""
        trains, self._trains = self._trains, {}
        for flow, (segment, _size, parts) in trains.items():
            self._hand_on(flow, segment, parts)

    def forget(self) -> None:
        """Hand on nothing of it."""
        self._trains.clear()

    def _hand_on(self, flow: int, segment: int, parts: list[memoryview]) -> None:
        whole = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        self._on_data(flow, segment, whole)
