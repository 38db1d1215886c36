"""That this computer slept, by the clock; and what is done about it: every link is tried at once.

    a second passes ─▶ or many more: it slept ─▶ on_wake(seconds) ─▶ ask each agent ─▶ or link anew

A link may have died meanwhile without a word (the machine was reset, its network changed), and
would be given up only after the lease, in seconds of a clock that stood still. So each agent is
asked a question; one that does not answer in time has its link ended, and is linked anew at once.

Rules: nothing but the clock is asked, so this is one code on every system: Linux CLOCK_BOOTTIME,
macOS CLOCK_MONOTONIC_RAW, Windows its own monotonic clock, all of which go on during sleep
(`wall_clock.since_boot`). A process that was stopped looks the same, and its links are tried, too.
Limits: it is known up to a second after the waking, and a sleep of less than GAP_SECONDS is not.
Counterparts: `logind.py` knows of both where there is a logind, `daemon.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from desktop.daemon.strokes import sleep_to_stroke
from desktop.daemon.wall_clock import since_boot

__all__ = ["GAP_SECONDS", "LOOK_SECONDS", "watch_sleep"]

LOOK_SECONDS: Final = 1.0
"""Between two looks at the clock."""
GAP_SECONDS: Final = 3.0
"""Looks that are so much later than they should be were slept through, or nearly so."""

log = logging.getLogger(__name__)


async def watch_sleep(
    on_wake: Callable[[], Awaitable[None]],
    clock: Callable[[], float] = since_boot,
    look: Callable[[float], Awaitable[None]] = sleep_to_stroke,
) -> None:
    """Await `on_wake` after every sleep, until cancelled. `look` waits for so many seconds."""
    last = clock()
    while True:
        await look(LOOK_SECONDS)
        now = clock()
        slept = now - last - LOOK_SECONDS
        if slept >= GAP_SECONDS:
            log.info("this computer slept for about %.0f seconds: links are tried", slept)
            await on_wake()
            now = clock()
        last = now
