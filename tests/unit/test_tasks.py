"""Work that is not left half done."""

from __future__ import annotations

import asyncio

from desktop.tasks import uninterrupted


def test_uninterrupted_work_is_done_before_the_cancellation_arrives() -> None:
    async def body() -> tuple[bool, list[str]]:
        done: list[str] = []
        go = asyncio.Event()

        async def work() -> None:
            await go.wait()
            done.append("work")

        task = asyncio.create_task(uninterrupted(work()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        go.set()
        await asyncio.wait({task})
        return task.cancelled(), done

    assert asyncio.run(body()) == (True, ["work"])
