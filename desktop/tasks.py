"""Work that must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["uninterrupted"]


async def uninterrupted(work: Coroutine[Any, Any, object]) -> None:
    """Await `work` to its end even if cancelled meanwhile; the cancellation follows after it."""
    task = asyncio.create_task(work, name="uninterrupted")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
