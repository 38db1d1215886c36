"""What the tests of the portable UDP path share: loops, and waiting for a condition."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests import loops
from tests.threaded_loop import ThreadedLoop

__all__ = ["LOOPS", "PATIENCE", "plain", "run"]

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    **loops.LOOPS,
    "threads": ThreadedLoop,
}
PATIENCE: Final = 30.0


def run(loop: str, story: Coroutine[Any, Any, None]) -> None:
    """Run a story on a loop; a failed call-back fails it."""
    failures: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: failures.append(context)
        )
        await asyncio.wait_for(story, 60)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())
    gc.collect()
    assert not failures


def plain(address: str, port: int = 0) -> socket.socket:
    """A bound UDP socket whose receive waits, but not for ever."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.settimeout(PATIENCE)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
