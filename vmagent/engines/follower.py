"""Following one engine: what is the same for all of them.

Rules: the list of containers is the truth, asked for on connecting, after events that change it
and every `RESYNC` seconds; events only make it come sooner. An engine that is absent, hangs or
talks nonsense is tried again with jittered back-off, and what it said last about names stands
until it says something else.

Limits: sizes and times below. Containers beyond them have no name.

Counterparts: `docker` and `containerd` ask, `vmagent.engine` runs them.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

from vmagent.unix_http import HttpError

__all__ = [
    "EVENT_BYTES",
    "LIST_BYTES",
    "LIST_GAP",
    "MOST_CONTAINERS",
    "REQUEST_SECONDS",
    "Follower",
    "Listed",
    "clean_name",
    "end",
]

REQUEST_SECONDS: Final = 5.0
"""An engine that has not answered a request after this counts as hanging."""

RESYNC: Final = 30.0
"""Seconds between lists when no event asks for one; also finds a dead connection."""

LIST_GAP: Final = 0.2
"""Least seconds between two lists, however many events come."""

FIRST_BACKOFF: Final = 0.25
LAST_BACKOFF: Final = 5.0
"""Seconds until an engine is tried again: doubled each time, half of it by chance."""

LIST_BYTES: Final = 32 * 1024 * 1024
EVENT_BYTES: Final = 1024 * 1024
MOST_CONTAINERS: Final = 20_000
NAME_LETTERS: Final = 255

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Listed(NamedTuple):
    """Names by container id, and whether a container shares the machine's network, or may."""

    names: dict[str, str]
    host_networked: bool


class Follower(abc.ABC):
    """One engine. `host_networked` is None while it does not answer.

    `on_change` is called whenever something happened that may mean new listeners or new names.
    """

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self.path = path
        self.names: dict[str, str] = {}
        self.host_networked: bool | None = None
        self.on_change = on_change
        self._backoff = FIRST_BACKOFF
        self._last_failure = ""

    @abc.abstractmethod
    async def list_containers(self) -> Listed:
        """Ask for the containers. Raises OSError, HttpError, ValueError, RecursionError."""

    @abc.abstractmethod
    async def read_events(self, stale: asyncio.Event) -> None:
        """Follow the events until they end; set `stale` when the list may have changed.

        Raises what `list_containers` does, and HttpError at the end.
        """

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except (OSError, HttpError, ValueError, RecursionError) as error:
                self._failed(str(error))
            self.host_networked = None
            await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))
            self._backoff = min(self._backoff * 2, LAST_BACKOFF)

    def _failed(self, why: str) -> None:
        level = logging.DEBUG if why == self._last_failure else logging.INFO
        self._last_failure = why
        _log.log(level, "engine at %s: %s; trying again", self.path, why)

    async def _follow(self) -> None:
        """List whenever the list may be stale, until the events end or the engine fails."""
        stale = asyncio.Event()
        events = asyncio.create_task(self.read_events(stale), name=f"events of {self.path}")
        events.add_done_callback(lambda _: stale.set())
        try:
            while not events.done():
                stale.clear()
                self._know(await _within(REQUEST_SECONDS, self.list_containers()))
                self._backoff = FIRST_BACKOFF
                await asyncio.sleep(LIST_GAP)
                await _wait(stale, RESYNC)
            events.result()
        finally:
            await end(events)

    def _know(self, listed: Listed) -> None:
        self.host_networked = listed.host_networked
        if self._last_failure or listed.names != self.names:
            self._last_failure = ""
            self.names = listed.names
            self.on_change()


def clean_name(name: object) -> str:
    """A name as it can be shown: one short printable line; "" for what is no text."""
    if not isinstance(name, str):
        return ""
    return "".join(letter for letter in name.lstrip("/") if letter.isprintable())[:NAME_LETTERS]


async def _within(seconds: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result, or HttpError after a time. (Before Python 3.12, wait_for can lose a cancel.)"""
    task = asyncio.get_running_loop().create_task(work, name="request to an engine")
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise HttpError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        await end(task)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most for a time."""
    alarm = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        alarm.cancel()


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and see it end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
