"""Wait, in an event loop, for a condition that nothing announces; not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["PATIENCE", "until"]

PATIENCE: Final = 30.0
"""Seconds a condition may take."""
INTERVAL_SECONDS: Final = 0.002


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return once `condition` holds. Raises TimeoutError after `patience` seconds."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(INTERVAL_SECONDS)
