"""The Docker Engine API over its Unix socket: Docker, and Podman's compatible service.

Rules: unversioned requests, so an engine answers with its own newest version. An event gives
its container's name at once; all but those of health checks and of programs started inside ask
for the list.

Limits: Podman 4 calls every container host-networked in its list; that only makes the watcher
look more often.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

from vmagent.engines.follower import (
    EVENT_BYTES,
    LIST_BYTES,
    MOST_CONTAINERS,
    Follower,
    Listed,
    clean_name,
)
from vmagent.unix_http import HttpError, Response, get

__all__ = ["DockerFollower"]

LIST_TARGET: Final = "/containers/json"
EVENTS_TARGET: Final = "/events?filters=" + quote('{"type":["container"]}')
"""Docker Engine API, ContainerList and SystemEvents."""


class DockerFollower(Follower):
    """See `Follower`."""

    async def list_containers(self) -> Listed:
        """See `Follower`."""
        response = await get(self.path, LIST_TARGET)
        try:
            _expect_success(response)
            listed = json.loads(await response.read(LIST_BYTES))
        finally:
            response.close()
        if not isinstance(listed, list):
            raise HttpError("the list of containers is no list")
        containers = [each for each in listed[:MOST_CONTAINERS] if isinstance(each, dict)]
        return Listed(
            {str(each.get("Id")): _name_in(each) for each in containers},
            any(_shares_network(each) for each in containers),
        )

    async def read_events(self, stale: asyncio.Event) -> None:
        """See `Follower`."""
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
            name = clean_name(attributes.get("name"))
            if name and len(self.names) < MOST_CONTAINERS:
                self.names[str(actor.get("ID"))] = name
        action = str(event.get("Action") or event.get("status"))
        if not action.startswith(("exec_", "health_status")):
            stale.set()
        self.on_change()


def _name_in(container: dict[str, Any]) -> str:
    names = container.get("Names")
    return clean_name(names[0]) if isinstance(names, list) and names else ""


def _shares_network(container: dict[str, Any]) -> bool:
    """True also where the engine does not say: rather look too often than too late."""
    host_config = container.get("HostConfig")
    mode = host_config.get("NetworkMode") if isinstance(host_config, dict) else None
    return not mode or mode == "host"


def _expect_success(response: Response) -> None:
    if response.status != 200:
        raise HttpError(f"status {response.status}")
