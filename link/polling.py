"""When to look again: the pace of a scanner that polls and is kicked by events.

Rules: pure; the caller passes `now` (seconds, any monotonic clock) and does the scanning. Three
wishes are weighed: look soon after something changed, rest when nothing does, and never take
more than `SHARE` of a core. The last is kept as an account: time pays in, each scan takes out
what it cost, and an overdrawn account delays the next scan. A single dear scan after a quiet
time is paid from savings and delays nothing. What has just changed changes again soon: a program
that closes a port to open it anew is looked for after SOON, twice that, and so on up to FAST.

Limits: a kick may wait `KICK_GAP`, or longer while the account is overdrawn.

Counterparts: `vmagent.watch.watcher` (containers' listeners), the daemon (the desktop's).
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "EVENT_SHARE",
    "FAST",
    "FAST_PERIOD",
    "KICK_GAP",
    "LONGEST_PAUSE",
    "LONGEST_REST",
    "REST_SHARE",
    "SAVINGS",
    "SETTLE",
    "SHARE",
    "SLOW",
    "SOON",
    "AdaptiveInterval",
]

FAST: Final = 0.1
"""Seconds between scans while things happen."""

SOON: Final = 0.005
"""Seconds until the second look at what changed, or was said to."""

SETTLE: Final = 0.001
"""Seconds that the news of an end may wait: a program that opens the same port anew has mostly done
so by then, and nothing will have happened."""

SLOW: Final = 1.0
"""Seconds between scans when nothing happens."""

FAST_PERIOD: Final = 10.0
"""Seconds without a change or a kick after which the interval grows."""

SETTLING_GROWTH: Final = 2.0
GROWTH: Final = 1.5
"""Factors of the interval's growth, per scan: up to FAST, and beyond."""

KICK_GAP: Final = 0.0001
"""Least seconds between two scans, however many kicks come."""

SHARE: Final = 0.05
"""Part of one core that scanning may take in the long run: a scan's cost is at most one
twentieth of the interval."""

EVENT_SHARE: Final = 0.2
"""The same while every scan has its reason."""

SAVINGS: Final = 0.05
"""Most seconds of scanning that a quiet time saves up: one second's share."""

REST_SHARE: Final = 0.002
"""The same for looks that nothing calls for, where kicks tell of all that matters: 10 000 sockets
are then looked at every LONGEST_REST, not every half second."""

LONGEST_REST: Final = 5.0
"""Most seconds for which that delays a look."""

LONGEST_PAUSE: Final = 1.0
"""Most seconds that the account delays a scan."""


class AdaptiveInterval:
    """Says when the next scan is due. The first is due at once.

    `ceiling` may be set at any time: the interval does not grow beyond it. It is not below
    `FAST`, nor above what was given as `slow`.
    """

    def __init__(self, now: float, *, fast: float = FAST, slow: float = SLOW) -> None:
        self._fast = fast
        self._soon = min(SOON, fast)
        self._share = SHARE
        self._relies = False
        self._rest = 0.0
        self._slow = slow
        self._ceiling = slow
        self._interval = fast
        self._last_scan: float | None = None
        self._last_news = now
        self._kicked_at: float | None = None
        self._account = SAVINGS
        self._account_time = now

    @property
    def ceiling(self) -> float:
        """The longest interval, in seconds."""
        return self._ceiling

    @ceiling.setter
    def ceiling(self, seconds: float) -> None:
        self._ceiling = min(max(seconds, self._fast), self._slow)
        self._interval = min(self._interval, self._ceiling)

    def rely_on_kicks(self, *, rely: bool) -> None:
        """Kicks tell of all that matters, as it happens, or they do not: then look by the clock.

        With them one more look after SOON makes sure, and looking may cost EVENT_SHARE; looks that
        nothing calls for take REST_SHARE.
        """
        self._relies = rely
        self._share = EVENT_SHARE if rely else SHARE

    @property
    def is_called_for(self) -> bool:
        """True if a kick waits for its scan, or the last scan has shown that things happen."""
        return self._kicked_at is not None or self._interval < self._fast

    @property
    def is_kicked(self) -> bool:
        """True if a kick waits for its scan."""
        return self._kicked_at is not None

    @property
    def interval(self) -> float:
        """The interval now, in seconds, kicks and cost left aside."""
        return self._interval

    def kick(self, now: float, after: float = 0.0) -> None:
        """Something happened that may have changed the truth: scan `after` seconds from now, or as
        soon then as is allowed."""
        at = now + after
        self._kicked_at = at if self._kicked_at is None else min(self._kicked_at, at)
        self._last_news = now

    def scanned(self, now: float, *, cost: float, changed: bool) -> None:
        """A scan ended at `now`, took `cost` seconds and found a change or did not."""
        self._pay_in(now)
        self._account = max(self._account - cost, -self._share * LONGEST_PAUSE)
        self._last_scan = now
        was_kicked, self._kicked_at = self._kicked_at is not None, None
        self._rest = 0.0
        if changed:
            self._last_news = now
        if changed or was_kicked:
            self._interval = self._soon
        elif self._relies:
            self._interval = self._ceiling
            self._rest = min(cost / REST_SHARE, LONGEST_REST)
        elif self._interval < self._fast:
            self._interval = min(self._interval * SETTLING_GROWTH, self._fast)
        elif now - self._last_news >= FAST_PERIOD:
            self._interval = min(self._interval * GROWTH, self._ceiling)

    def next_due(self, now: float) -> float:
        """The time of the next scan; at or before `now` when it is due."""
        if self._last_scan is None:
            return now
        due = self._last_scan + max(self._interval, self._rest)
        if self._kicked_at is not None:
            due = min(due, max(self._kicked_at, self._last_scan + KICK_GAP))
        return max(due, self._solvent_at())

    def _pay_in(self, now: float) -> None:
        elapsed = max(0.0, now - self._account_time)
        self._account = min(SAVINGS, self._account + elapsed * self._share)
        self._account_time = now

    def _solvent_at(self) -> float:
        return self._account_time + max(0.0, -self._account) / self._share
