"""Following one engine: what is the same for all of them.

Rules: the list of containers is the truth, asked for on connecting, after events that change it
and every `RESYNC` seconds; events only make it come sooner. An engine that is absent, hangs or
talks nonsense is tried again with jittered back-off, and what it said last about containers
stands until it says something else.

Limits: sizes and times below, and those of `link.labels`. Containers beyond them have no name;
those for whose labels no room is left have none. Long lists are read in turns.

Counterparts: `docker` and `containerd` ask, `vmagent.engine` runs them.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from link.labels import Labels
from vmagent.unix_http import HttpError

__all__ = [
    "EVENT_BYTES",
    "LIST_BYTES",
    "LIST_GAP",
    "MOST_CONTAINERS",
    "MOST_LABEL_LETTERS",
    "REQUEST_SECONDS",
    "UNKNOWN",
    "Details",
    "Follower",
    "Listed",
    "clean_name",
    "end",
    "in_turns",
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
MOST_LABEL_LETTERS: Final = 8 * 1024 * 1024
"""Letters of labels that are kept of one engine: as many as 2000 containers may have at most."""

TURN: Final = 100
"""Containers that are looked at before others may run: some milliseconds with many labels."""

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Details(NamedTuple):
    """What an engine says of a container: name and image as one printable line, and labels."""

    name: str
    image: str
    labels: Labels


UNKNOWN: Final = Details("", "", ())


class Listed:
    """What an engine says of its containers.

    Attributes:
        containers: by id.
        host_networked: whether one shares the machine's network, or may.
    """

    def __init__(self) -> None:
        self.containers: dict[str, Details] = {}
        self.host_networked = False
        self._letters = 0

    def put(self, identity: str, name: object, image: object, labels: Labels) -> None:
        """Know this of a container from now on, as far as there is room."""
        known = self.containers.get(identity)
        if known is None and len(self.containers) >= MOST_CONTAINERS:
            return
        self._letters -= _letters_of(known.labels) if known else 0
        wanted = _letters_of(labels)
        kept = labels if self._letters + wanted <= MOST_LABEL_LETTERS else ()
        self._letters += wanted if kept else 0
        self.containers[identity] = Details(clean_name(name), clean_name(image), kept)


class Follower(abc.ABC):
    """One engine. `host_networked` is None while it does not answer; `failures` are so far.

    `on_change` is called whenever something happened that may mean new listeners, or more to say of
    a container.
    """

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self.path = path
        self.listed = Listed()
        self.host_networked: bool | None = None
        self.on_change = on_change
        self._backoff = FIRST_BACKOFF
        self._last_failure = ""
        self.failures = 0

    @property
    def trouble(self) -> str:
        """Why it does not answer, in words for a person; "" if it does."""
        if self.host_networked is not None:
            return ""
        return self._last_failure or "it has not answered yet"

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
        self.failures += 1
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
        differs = listed.containers != self.listed.containers
        self.listed = listed
        if self._last_failure or differs:
            self._last_failure = ""
            self.on_change()


def clean_name(name: object) -> str:
    """A name as it can be shown: one short printable line; "" for what is no text."""
    if not isinstance(name, str):
        return ""
    text = name.lstrip("/")
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    return text[:NAME_LETTERS]


async def in_turns(containers: Iterable[_Result]) -> AsyncIterator[_Result]:
    """Each of these, while now and then others run."""
    for number, container in enumerate(containers, 1):
        yield container
        if number % TURN == 0:
            await asyncio.sleep(0)


def _letters_of(labels: Labels) -> int:
    return sum(len(name) + len(value) for name, value in labels)


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
