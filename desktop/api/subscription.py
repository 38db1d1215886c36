"""Changes of the port table, handed to whoever subscribed, through bounded queues.

Rules: publishing never waits. A subscriber that falls `QUEUE_LIMIT` changes behind is dropped:
its iteration ends, and it subscribes again for a new snapshot. All on one event loop.
The counterparts are the daemon, which publishes, and `connection.py`, which subscribes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Self

from desktop.api.types import PortDelta

__all__ = ["QUEUE_LIMIT", "PortFeed", "Subscription"]

QUEUE_LIMIT: Final = 256
"""Changes that wait for one subscriber."""


class Subscription:
    """One subscriber's changes, as an asynchronous context manager and iterator."""

    def __init__(self, feed: PortFeed, limit: int) -> None:
        self._feed = feed
        self._limit = limit
        self._queue: deque[PortDelta] = deque()
        self._is_open = True
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._feed.forget(self)
        self.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> PortDelta:
        while self._is_open and not self._queue:
            self._changed.clear()
            await self._changed.wait()
        if not self._queue:
            raise StopAsyncIteration
        return self._queue.popleft()

    def offer(self, delta: PortDelta) -> bool:
        """Queue a change; False if the subscriber is too slow, which closes it."""
        if len(self._queue) >= self._limit:
            self._queue.clear()
            self.close()
            return False
        self._queue.append(delta)
        self._changed.set()
        return True

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._is_open = False
        self._changed.set()


class PortFeed:
    """Where changes are published. Counts from the moment of `subscribe()`.

    Attributes:
        dropped: subscribers that were too slow.
    """

    def __init__(self, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self.dropped = 0
        self._subscriptions: set[Subscription] = set()

    def subscribe(self) -> Subscription:
        """All changes published from now on. Use it with `async with`, or it is never freed."""
        subscription = Subscription(self, self._limit)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Publish to it no longer."""
        self._subscriptions.discard(subscription)

    def publish(self, delta: PortDelta) -> None:
        """Hand a change to all subscribers; drop the slow ones."""
        slow = [each for each in self._subscriptions if not each.offer(delta)]
        self._subscriptions.difference_update(slow)
        self.dropped += len(slow)

    def close(self) -> None:
        """End all iterations."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
