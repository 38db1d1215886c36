"""Blocking calls in threads of their own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from desktop.threads import Threads


def test_it_gives_what_the_call_gives_or_raises() -> None:
    async def story() -> None:
        threads = Threads()
        assert await threads.run("a name", threading.current_thread) is not threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            await threads.run("a name", lambda: 1 // 0)
        await threads.aclose()

    asyncio.run(story())


def test_the_loop_goes_on_meanwhile() -> None:
    async def story() -> None:
        threads, go_on = Threads(), threading.Event()
        calls = [asyncio.create_task(threads.run("a call", go_on.wait)) for _ in range(20)]
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*calls) == [True] * 20
        await threads.aclose()

    asyncio.run(story())


@pytest.mark.parametrize("fails", [False, True])
def test_what_comes_of_a_call_that_nobody_waits_for_is_undone(fails: bool) -> None:
    undone: list[str] = []

    def work() -> str:
        begun.set()
        assert go_on.wait(10)
        if fails:
            raise OSError("nothing came of it")
        return "a connection"

    async def story() -> None:
        threads = Threads()
        call = asyncio.create_task(threads.run("a call", work, undone.append))
        await asyncio.to_thread(begun.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not undone
        go_on.set()
        await threads.aclose()
        await threads.aclose()

    begun, go_on = threading.Event(), threading.Event()
    asyncio.run(story())
    assert undone == ([] if fails else ["a connection"])


def test_no_thread_is_left() -> None:
    before = threading.active_count()

    async def story() -> int:
        threads, go_on = Threads(), threading.Event()
        calls = [asyncio.create_task(threads.run("a call", go_on.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        go_on.set()
        await threads.aclose()
        return threading.active_count()

    assert asyncio.run(story()) == before
