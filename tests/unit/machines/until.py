"""Wait for a condition that nothing announces, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["until"]

DEADLINE_S: Final = 30.0
INTERVAL_S: Final = 0.002


async def until(condition: Callable[[], object]) -> None:
    """Return once `condition` holds. Raises TimeoutError after 30 s."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the kernel sends no event for these conditions
            await asyncio.sleep(INTERVAL_S)
