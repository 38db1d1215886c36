"""Bytes a second from counters that are looked at now and then.

    rates = Rates()
    rates.observe(key, bytes_in, bytes_out, now)     a counter was told
    rates.settle(now)                                once a second: which rates came to rest

Rules: pure; `now` is in seconds, of any clock that never goes back. A rate is the mean since the
look before, so what is shown adds up to what went through. Counters are told when they changed,
about once a second: after a pause, what came is that of one second, and silence is zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

__all__ = ["NO_RATE", "History", "Rate", "Rates"]

PERIOD: Final = 1.0
"""Seconds from one look of the daemon at its counters to the next."""

SHORTEST: Final = 0.5
"""Seconds; what is told sooner counts with the next: a mean over less would only jump."""

SILENCE: Final = 1.5
"""Seconds without news until a counter is taken to stand still."""

SAMPLES: Final = 60
"""How many a history keeps: a minute."""

Key = TypeVar("Key", bound=Hashable)


class Rate(NamedTuple):
    """Bytes a second: to this computer's programs, and from them."""

    into: float
    out: float


NO_RATE: Final = Rate(0.0, 0.0)


@dataclass(slots=True)
class _Counter:
    """Bytes at the last look that counted, when that was, and the bytes told since."""

    at: float
    seen_in: int
    seen_out: int
    told_in: int
    told_out: int
    rate: Rate = NO_RATE

    def count(self, now: float, elapsed: float) -> None:
        """Take what was told since the last look as what `elapsed` seconds brought."""
        came_in, came_out = self.told_in - self.seen_in, self.told_out - self.seen_out
        # Less than before: a mirror that was opened anew counts from zero.
        self.rate = Rate(max(came_in, 0) / elapsed, max(came_out, 0) / elapsed)
        self.at, self.seen_in, self.seen_out = now, self.told_in, self.told_out


class Rates(Generic[Key]):
    """The rates of many counters. `settle` costs only what is moving."""

    def __init__(self) -> None:
        self._counters: dict[Key, _Counter] = {}
        self._moving: set[Key] = set()

    def observe(self, key: Key, bytes_in: int, bytes_out: int, now: float) -> Rate:
        """The rate with these counts. The first ones have none: nobody knows since when."""
        counter = self._counters.get(key)
        if counter is None:
            self._counters[key] = _Counter(now, bytes_in, bytes_out, bytes_in, bytes_out)
            return NO_RATE
        if (bytes_in, bytes_out) == (counter.told_in, counter.told_out):
            return counter.rate
        counter.told_in, counter.told_out = bytes_in, bytes_out
        elapsed = now - counter.at if key in self._moving else PERIOD
        if elapsed >= SHORTEST:
            counter.count(now, elapsed)
        self._moving.add(key)
        return counter.rate

    def settle(self, now: float) -> dict[Key, Rate]:
        """The rates that changed because nothing was told for a while."""
        changed = {}
        for key in list(self._moving):
            counter = self._counters[key]
            if now - counter.at >= SILENCE:
                counter.count(now, now - counter.at)
                changed[key] = counter.rate
                if counter.rate == NO_RATE:
                    self._moving.discard(key)
        return changed

    def rate(self, key: Key) -> Rate:
        """The rate as it was at the last look."""
        counter = self._counters.get(key)
        return NO_RATE if counter is None else counter.rate

    def forget(self, key: Key) -> None:
        """The counter is gone."""
        self._counters.pop(key, None)
        self._moving.discard(key)

    def clear(self) -> None:
        """Nobody looked for a while: begin anew."""
        self._counters.clear()
        self._moving.clear()


class History:
    """The last minute of one row, a sample a second, the oldest first."""

    def __init__(self) -> None:
        self._samples: deque[Rate] = deque(maxlen=SAMPLES)

    @property
    def samples(self) -> tuple[Rate, ...]:
        """All that are kept."""
        return tuple(self._samples)

    @property
    def highest(self) -> float:
        """The highest rate of either direction."""
        return max((max(sample) for sample in self._samples), default=0.0)

    def add(self, rate: Rate) -> None:
        """One more; the oldest of too many goes."""
        self._samples.append(rate)

    def clear(self) -> None:
        """Another row, or nobody looked for a while."""
        self._samples.clear()
