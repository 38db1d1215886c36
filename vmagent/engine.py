"""What the container engine knows: names of containers, who has host networking, and when.

Rules: a client of the Docker Engine API (Docker, and Podman's compatible service) over its Unix
socket. The list of containers is the truth, asked for on connecting, after events that change it
and every `RESYNC` seconds; events give names at once and are reasons to look for listeners. The
engine is a help, never a need: absent, hanging or talking nonsense it delays nothing; it is
tried again with jittered back-off, and what it said last about names stands until it says
something else.

Limits: sizes and times below. Containers beyond them have no name.

Counterpart: `watch.watcher` asks for names and is kicked.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

from vmagent.unix_http import HttpError, Response, get

__all__ = ["ENGINE_SOCKETS", "EngineWatcher"]

ENGINE_SOCKETS: Final = ("/run/docker.sock", "/run/podman/podman.sock")
"""Where Docker and Podman listen by default."""

LIST_TARGET: Final = "/containers/json"
EVENTS_TARGET: Final = "/events?filters=" + quote('{"type":["container"]}')
"""Docker Engine API, unversioned: the engine's own newest."""

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


class EngineWatcher:
    """Follows the engines behind some sockets.

    `on_change` is called, often and cheaply, whenever something happened that may mean new
    listeners or new names.
    """

    def __init__(self, socket_paths: Sequence[str], on_change: Callable[[], None]) -> None:
        # /var/run is mostly /run: the same engine is followed once.
        paths = dict.fromkeys(os.path.realpath(path) for path in socket_paths)
        self._engines = [_Engine(path, on_change) for path in paths]

    async def run(self) -> None:
        """Follow until cancelled."""
        tasks = [asyncio.create_task(each.run(), name=each.path) for each in self._engines]
        try:
            await asyncio.gather(*tasks)
            await asyncio.Event().wait()  # no engines: nothing to do but to be cancelled
        finally:
            await _end(*tasks)

    def name_of(self, container_id: str) -> str:
        """The name of a container, "" if no engine has told it."""
        return next((n for each in self._engines if (n := each.names.get(container_id))), "")

    @property
    def has_host_networked(self) -> bool | None:
        """Whether a running container shares the machine's network; None while nobody says."""
        known = [each.host_networked for each in self._engines]
        if True in known:
            return True
        return False if False in known else None


class _Engine:
    """One engine. `host_networked` is None while it does not answer."""

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self.path = path
        self.names: dict[str, str] = {}
        self.host_networked: bool | None = None
        self._on_change = on_change
        self._backoff = FIRST_BACKOFF
        self._last_failure = ""

    async def run(self) -> None:
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
        events = asyncio.create_task(self._read_events(stale), name=f"events of {self.path}")
        events.add_done_callback(lambda _: stale.set())
        try:
            while not events.done():
                stale.clear()
                await _within(REQUEST_SECONDS, self._list())
                self._backoff = FIRST_BACKOFF
                await asyncio.sleep(LIST_GAP)
                await _wait(stale, RESYNC)
            events.result()
        finally:
            await _end(events)

    async def _list(self) -> None:
        response = await get(self.path, LIST_TARGET)
        try:
            _expect_success(response)
            listed = json.loads(await response.read(LIST_BYTES))
        finally:
            response.close()
        if not isinstance(listed, list):
            raise HttpError("the list of containers is no list")
        containers = [each for each in listed[:MOST_CONTAINERS] if isinstance(each, dict)]
        self.host_networked = any(_shares_network(each) for each in containers)
        self._know({str(each.get("Id")): _name_in(each) for each in containers})

    def _know(self, names: dict[str, str]) -> None:
        if self._last_failure or names != self.names:
            self._last_failure = ""
            self.names = names
            self._on_change()

    async def _read_events(self, stale: asyncio.Event) -> None:
        response = await get(self.path, EVENTS_TARGET)
        try:
            _expect_success(response)
            stale.set()  # what happened before we listened is in the next list
            async for line in response.lines(EVENT_BYTES):
                self._event(json.loads(line), stale)
        finally:
            response.close()
        raise HttpError("the events ended")

    def _event(self, event: Any, stale: asyncio.Event) -> None:
        if not isinstance(event, dict):
            raise HttpError("an event is no object")
        actor = event.get("Actor")
        attributes = actor.get("Attributes") if isinstance(actor, dict) else None
        if isinstance(actor, dict) and isinstance(attributes, dict):
            name = _clean(attributes.get("name"))
            if name and len(self.names) < MOST_CONTAINERS:
                self.names[str(actor.get("ID"))] = name
        action = str(event.get("Action") or event.get("status"))
        if not action.startswith(("exec_", "health_status")):
            stale.set()
        self._on_change()


def _name_in(container: dict[str, Any]) -> str:
    names = container.get("Names")
    return _clean(names[0]) if isinstance(names, list) and names else ""


def _clean(name: object) -> str:
    if not isinstance(name, str):
        return ""
    return "".join(letter for letter in name.lstrip("/") if letter.isprintable())[:NAME_LETTERS]


def _shares_network(container: dict[str, Any]) -> bool:
    """True also where the engine does not say: rather look too often than too late."""
    host_config = container.get("HostConfig")
    mode = host_config.get("NetworkMode") if isinstance(host_config, dict) else None
    return not mode or mode == "host"


def _expect_success(response: Response) -> None:
    if response.status != 200:
        raise HttpError(f"status {response.status}")


async def _within(seconds: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result, or HttpError after a time. (Before Python 3.12, wait_for can lose a cancel.)"""
    task = asyncio.get_running_loop().create_task(work, name="request to an engine")
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise HttpError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        await _end(task)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most for a time."""
    alarm = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        alarm.cancel()


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and see it end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
