"""When something happened, in the time that people's clocks show, though that jumps.

    loop's time ─ moment() ─▶ seconds since the boot, asleep or not ─ shown() ─▶ UNIX time

Rules: nothing waits by this clock; it is for showing only, and the time since the boot for noticing
sleep (`sleep_watch.py`). The loop's time stands still while the computer sleeps (Linux, macOS), the
wall clock may be set forwards and backwards; the time since the boot does neither. Slow drift of
the wall clock is followed once it is JUMP_SECONDS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["WallClock", "since_boot"]

JUMP_SECONDS: Final = 1.0
_AWAKE_OR_ASLEEP: Final = ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC_RAW")
"""Linux has both, and its second stands still in sleep: the first that is there is right."""


def _clock_of(system: object) -> int | None:
    """The number of the best clock that `system` has, as the module `time` has them."""
    has = (name for name in _AWAKE_OR_ASLEEP if hasattr(system, name))
    return next((getattr(system, name) for name in has), None)


_CLOCK: Final = _clock_of(time)


def since_boot() -> float:
    """Seconds that go on while the computer sleeps.

    Linux CLOCK_BOOTTIME (clock_gettime(2)), macOS CLOCK_MONOTONIC_RAW (clock_gettime(3) there), and
    on Windows what Python's monotonic clock is.
    """
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class WallClock:
    """See the module. All three times are in seconds."""

    def __init__(
        self,
        of_loop: Callable[[], float],
        of_boot: Callable[[], float] = since_boot,
        of_wall: Callable[[], float] = time.time,
    ) -> None:
        self._of_loop, self._of_boot, self._of_wall = of_loop, of_boot, of_wall
        self._offset = of_wall() - of_boot()

    def moment(self, at: float) -> float:
        """A time of the loop that was just now, as one that stays true."""
        return self._of_boot() - (self._of_loop() - at)

    def shown(self, moment: float) -> float:
        """Such a moment as UNIX time."""
        return round(moment + self._offset, 3)

    def has_jumped(self) -> bool:
        """True once after the wall clock was set: what is shown is then another time."""
        offset = self._of_wall() - self._of_boot()
        if abs(offset - self._offset) < JUMP_SECONDS:
            return False
        self._offset = offset
        return True
