"""Which flows a mirror has, which of them is silent for too long, and which must make room.

Rules: pure; `now` is a monotonic time in seconds. A flow lives while datagrams pass either way
and `idle_seconds` longer; when the table is full the quarter that has been silent longest is
evicted at once, so that a flood costs one eviction per many newcomers. The limits may be changed
at any time and hold from then on.

Counterparts: `front.py` (flows by client) and `back.py` (flows by number).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["FlowTable", "Limits"]


@dataclass
class Limits:
    """The user's limits, shared by all mirrors of a side."""

    idle_seconds: float = 90.0
    most_flows: int = 1024


class _Dated(Protocol):
    """What a table needs of a flow: a place for the time of its last datagram."""

    last_heard: float


_Key = TypeVar("_Key", bound=Hashable)
_Flow = TypeVar("_Flow", bound=_Dated)


class FlowTable(Generic[_Key, _Flow]):
    """Flows by key, the one silent longest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._flows: OrderedDict[_Key, _Flow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flows)

    def get(self, key: _Key) -> _Flow | None:
        """The flow of a key."""
        return self._flows.get(key)

    def heard(self, key: _Key, now: float) -> _Flow | None:
        """The flow of a key, of which a datagram passed."""
        flow = self._flows.get(key)
        if flow is not None:
            flow.last_heard = now
            self._flows.move_to_end(key)
        return flow

    def add(self, key: _Key, flow: _Flow, now: float) -> list[_Flow]:
        """Take a new flow in. Those returned had to make room and are no longer there."""
        evicted = self._make_room() if len(self._flows) >= self._limits.most_flows else []
        flow.last_heard = now
        self._flows[key] = flow
        return evicted

    def remove(self, key: _Key) -> _Flow | None:
        """Forget a flow."""
        return self._flows.pop(key, None)

    def take_silent(self, now: float) -> list[_Flow]:
        """Forget and return the flows that have been silent for too long."""
        silent = []
        while self._flows:
            key, flow = next(iter(self._flows.items()))
            if flow.last_heard + self._limits.idle_seconds > now:
                break
            del self._flows[key]
            silent.append(flow)
        return silent

    def all(self) -> list[_Flow]:
        """Every flow."""
        return list(self._flows.values())

    def take_all(self) -> list[_Flow]:
        """Forget and return every flow."""
        flows = list(self._flows.values())
        self._flows.clear()
        return flows

    def deadline(self) -> float | None:
        """When `take_silent` may next have something; None while there is no flow."""
        first = next(iter(self._flows.values()), None)
        return None if first is None else first.last_heard + self._limits.idle_seconds

    def _make_room(self) -> list[_Flow]:
        count = max(len(self._flows) - self._limits.most_flows + 1, len(self._flows) // 4, 1)
        return [self._flows.popitem(last=False)[1] for _ in range(min(count, len(self._flows)))]
