"""The Docker Engine API over its Unix socket: Docker, and Podman's compatible service.

Rules: unversioned requests, so an engine answers with its own newest version. An event gives
its container's name at once, and that of a container's making or start also image and labels; all
but those of health checks and of programs started inside ask for the list. An event too long to
be read asks for it, too.

Limits: Podman 4 calls every container host-networked in its list; that only makes the watcher
look more often.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

from link.labels import bounded_labels
from vmagent.engines.follower import (
    EVENT_BYTES,
    LIST_BYTES,
    MOST_CONTAINERS,
    UNKNOWN,
    Follower,
    Listed,
    clean_name,
    in_turns,
)
from vmagent.unix_http import HttpError, Response, get

__all__ = ["DockerFollower"]

LIST_TARGET: Final = "/containers/json"
EVENTS_TARGET: Final = "/events?filters=" + quote('{"type":["container"]}')
"""Docker Engine API, ContainerList and SystemEvents."""

TELLING_ACTIONS: Final = frozenset({"create", "start"})
"""Events whose attributes are the container's labels, and these:"""
OTHER_ATTRIBUTES: Final = frozenset({"image", "name", "containerExitCode", "podId"})
"""moby daemon/events.go; the last two: podman pkg/domain/entities/events.go."""


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
        found = Listed()
        async for each in in_turns(listed[:MOST_CONTAINERS]):
            if isinstance(each, dict):
                labels = bounded_labels(each.get("Labels"))
                found.put(str(each.get("Id")), _name_in(each), each.get("Image"), labels)
                found.host_networked = found.host_networked or _shares_network(each)
        return found

    async def read_events(self, stale: asyncio.Event) -> None:
        """See `Follower`."""
        response = await get(self.path, EVENTS_TARGET)
        try:
            _expect_success(response)
            stale.set()  # what happened before we listened is in the next list
            async for line in response.lines(EVENT_BYTES):
                self._event(json.loads(line) if line else {}, stale)
        finally:
            response.close()
        raise HttpError("the events ended")

    def _event(self, event: Any, stale: asyncio.Event) -> None:
        if not isinstance(event, dict):
            raise HttpError("an event is no object")
        action = str(event.get("Action") or event.get("status"))
        actor = event.get("Actor")
        attributes = actor.get("Attributes") if isinstance(actor, dict) else None
        if isinstance(actor, dict) and isinstance(attributes, dict):
            self._learn(str(actor.get("ID")), action, attributes)
        if not action.startswith(("exec_", "health_status")):
            stale.set()
        self.on_change()

    def _learn(self, identity: str, action: str, attributes: dict[str, Any]) -> None:
        name = attributes.get("name")
        if not clean_name(name):
            return
        known = self.listed.containers.get(identity, UNKNOWN)
        labels = known.labels
        if action in TELLING_ACTIONS and not labels:
            told = {key: attributes[key] for key in attributes.keys() - OTHER_ATTRIBUTES}
            labels = bounded_labels(told)
        self.listed.put(identity, name, known.image or attributes.get("image"), labels)


def _name_in(container: dict[str, Any]) -> object:
    names = container.get("Names")
    return names[0] if isinstance(names, list) and names else None


def _shares_network(container: dict[str, Any]) -> bool:
    """True also where the engine does not say: rather look too often than too late."""
    host_config = container.get("HostConfig")
    mode = host_config.get("NetworkMode") if isinstance(host_config, dict) else None
    return not mode or mode == "host"


def _expect_success(response: Response) -> None:
    if response.status != 200:
        raise HttpError(f"status {response.status}")
