"""Fixtures of the contract tests of UDP: event loops, kinds of sockets, and stories told on them.

`run` tells a story of sockets, `tell` one of whole flows in a `World`.

Rules: a test that takes them is run on every event loop, and with every kind of sockets.

Counterparts: `datagram_ends.py`, `udp_world.py`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from tests.contract.datagram_ends import SOCKETS, MakeSockets, Run
from tests.contract.relay_stage import make_ends, run_on_loop
from tests.contract.udp_world import Story, Tell, world
from tests.loops import EVERY_LOOP
from tests.threaded_loop import ThreadedLoop
from tests.until import until

__all__ = ["make_ends", "run_on_loop"]

NewLoop = Callable[[], asyncio.AbstractEventLoop]

LOOPS: Final = [
    *(pytest.param(make, id=name) for name, make in EVERY_LOOP.items()),
    pytest.param(ThreadedLoop, id="threads"),
]
"""Every event loop that the project may meet; the last has the readiness of the one on Windows."""

RUN_SECONDS: Final = 60.0
TELL_SECONDS: Final = 90.0
"""Longest that a story may take."""


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """Makes an event loop."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=SOCKETS)
def make_sockets(request: pytest.FixtureRequest) -> MakeSockets:
    """Makes UDP sockets, inside the running loop."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def run(new_loop: NewLoop) -> Run:
    """Runs a story. Fails, too, if a call-back failed, or a task is left when it has ended."""

    def runner(story: Coroutine[Any, Any, None]) -> None:
        failures: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: failures.append(context))
            await asyncio.wait_for(story, RUN_SECONDS)
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

        with asyncio.Runner(loop_factory=new_loop) as one:
            one.run(watched())
        gc.collect()
        assert not failures

    return runner


@pytest.fixture
def tell(new_loop: NewLoop, make_sockets: MakeSockets) -> Tell:
    """Tells a story in a world of its own."""

    def teller(story: Story, **how: Any) -> None:
        async def told() -> None:
            async with asyncio.timeout(TELL_SECONDS), world(make_sockets, **how) as one:
                await story(one)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(told())

    return teller
