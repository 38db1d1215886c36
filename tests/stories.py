"""A story, what a test tells in an event loop; it does not take for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

__all__ = ["STORY_SECONDS", "run"]

STORY_SECONDS: Final = 60.0

_Result = TypeVar("_Result")


def run(
    story: Callable[[], Awaitable[_Result]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> _Result:
    """What `story` returns, in a loop of its own. Raises TimeoutError after STORY_SECONDS."""

    async def bounded() -> _Result:
        async with asyncio.timeout(STORY_SECONDS):
            return await story()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(bounded())
