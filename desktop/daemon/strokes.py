"""Common strokes of a clock: what is done now and then is done together, in one wake-up.

To be woken costs a process at rest far more than what it then does: periods are multiples of that
at which sockets are counted (`mirroring.py`), and so whatever is due is due together with a count.

Rules: pure but for `sleep_to_stroke`. Users: `daemon`, `place`, `sleep_watch`, `mirroring`.
"""

from __future__ import annotations

import asyncio
import math

__all__ = ["next_stroke", "sleep_to_stroke", "stroke_before"]


def stroke_before(moment: float, period: float) -> float:
    """The last multiple of `period` not later than `moment`, in seconds of the loop's clock."""
    return math.floor(moment / period) * period


def next_stroke(moment: float, period: float) -> float:
    """The first one that is later."""
    return (math.floor(moment / period) + 1) * period


async def sleep_to_stroke(period: float) -> None:
    """Sleep for up to `period` seconds, to its next stroke."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(next_stroke(now, period) - now)
