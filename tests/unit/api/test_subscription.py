"""Changes of the port table through bounded queues."""

from __future__ import annotations

import asyncio

from desktop.api.subscription import PortFeed
from desktop.api.types import PortDelta


def delta(revision: int) -> PortDelta:
    return PortDelta(revision, [], [], [])


def test_a_subscriber_gets_what_is_published_after_it_came() -> None:
    async def scenario() -> list[int]:
        feed = PortFeed()
        feed.publish(delta(1))
        async with feed.subscribe() as changes:
            feed.publish(delta(2))
            feed.publish(delta(3))
            feed.close()
            return [change.revision async for change in changes]

    assert asyncio.run(scenario()) == [2, 3]


def test_a_slow_subscriber_is_dropped_and_the_others_are_not() -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        feed = PortFeed(limit=2)
        async with feed.subscribe() as slow, feed.subscribe() as quick:
            seen = []
            for revision in (1, 2, 3):
                feed.publish(delta(revision))
                seen.append((await anext(quick)).revision)
            assert feed.dropped == 1
            return [change.revision async for change in slow], seen

    dropped, seen = asyncio.run(scenario())
    assert dropped == []
    assert seen == [1, 2, 3]


def test_a_waiting_subscriber_wakes_when_the_feed_closes() -> None:
    async def scenario() -> None:
        feed = PortFeed()
        async with feed.subscribe() as changes:
            waiting = asyncio.ensure_future(anext(changes, None))
            await asyncio.sleep(0)
            assert not waiting.done()
            feed.close()
            assert await waiting is None

    asyncio.run(scenario())


def test_who_left_costs_nothing() -> None:
    async def scenario() -> None:
        feed = PortFeed()
        async with feed.subscribe():
            assert len(feed._subscriptions) == 1
        assert len(feed._subscriptions) == 0

    asyncio.run(scenario())
