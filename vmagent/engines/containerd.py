"""containerd's own interface: containers of nerdctl, Kubernetes and `ctr`, in all namespaces.

Rules: names come from labels: nerdctl's, else pod and container of Kubernetes, else the id where
it is a name that somebody chose. Labels and image are those of the container's record. Namespaces
of Docker are left out: Docker's own interface tells of them. Whether a container runs is not asked:
one that shares the machine's network may start at any time.

Limits: at most `MOST_NAMESPACES`; sizes as in `follower`.

Sources: containerd's api/services/{containers,events,namespaces}/v1/*.proto; labels of nerdctl's
pkg/labels/labels.go and of the kubelet's pkg/kubelet/types/labels.go.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from link.labels import bounded_labels
from vmagent.engines.follower import (
    EVENT_BYTES,
    LIST_BYTES,
    MOST_CONTAINERS,
    Follower,
    Listed,
    in_turns,
)
from vmagent.engines.grpc import call, call_once
from vmagent.engines.protobuf import fields, string_field, text
from vmagent.unix_http import HttpError

__all__ = ["ContainerdFollower"]

SERVICES: Final = "/containerd.services."
LIST_NAMESPACES: Final = SERVICES + "namespaces.v1.Namespaces/List"
LIST_CONTAINERS: Final = SERVICES + "containers.v1.Containers/List"
SUBSCRIBE: Final = SERVICES + "events.v1.Events/Subscribe"

EVENTS_FILTER: Final = 'topic~="^/(containers|tasks|namespaces)/",namespace!=moby'
"""containerd's filters/parser.go; a comma means "and". Images and snapshots do not matter."""

DOCKERS: Final = frozenset({"moby", "plugins.moby"})
"""Namespaces of Docker (its --containerd-namespace and --containerd-plugins-namespace)."""

MOST_NAMESPACES: Final = 64

NAME_LABEL: Final = "nerdctl/name"
POD_LABEL: Final = "io.kubernetes.pod.name"
CONTAINER_LABEL: Final = "io.kubernetes.container.name"

_NETWORK_ENTRY: Final = b'"type":"network"'
"""In a container's specification (OCI runtime-spec, config-linux.md, "Namespaces"), as Go's
encoder writes it; in a string the quotes would be escaped. Without it, the network is shared."""

_CHOSEN_BY_A_PROGRAM: Final = re.compile(r"[0-9a-f]{64}")


class ContainerdFollower(Follower):
    """See `Follower`."""

    async def list_containers(self) -> Listed:
        """See `Follower`."""
        found = Listed()
        for namespace in await self._namespaces():
            header = (("containerd-namespace", namespace),)
            answer = await call_once(self.path, LIST_CONTAINERS, b"", LIST_BYTES, header)
            async for number, container in in_turns(fields(answer)):
                if number == 1 and len(found.containers) < MOST_CONTAINERS:
                    _read(container, found)
        return found

    async def _namespaces(self) -> list[str]:
        answer = await call_once(self.path, LIST_NAMESPACES, b"", LIST_BYTES)
        namespaces = [dict(fields(each)).get(1, b"") for number, each in fields(answer)]
        names = [name for each in namespaces if (name := text(each)) and name.isascii()]
        return [name for name in names if name not in DOCKERS][:MOST_NAMESPACES]

    async def read_events(self, stale: asyncio.Event) -> None:
        """See `Follower`."""
        request = string_field(1, EVENTS_FILTER)
        stale.set()  # nothing tells when the subscription begins: the next list is after that
        envelopes = call(self.path, SUBSCRIBE, request, EVENT_BYTES)
        try:
            async for envelope in envelopes:
                topic = text(dict(fields(envelope)).get(3, b""))
                if not topic.startswith("/tasks/"):
                    stale.set()
                self.on_change()
        finally:
            await envelopes.aclose()
        raise HttpError("the events ended")


def _read(container: bytes, found: Listed) -> None:
    """Put a container into the list. Raises ValueError."""
    identity, image, spec = "", "", b""
    labels: dict[str, str] = {}
    for number, content in fields(container):
        if number == 1:
            identity = text(content)
        elif number == 2:
            entry = dict(fields(content))
            labels[text(entry.get(1, b""))] = text(entry.get(2, b""))
        elif number == 3:
            image = text(content)
        elif number == 5:
            spec = content
    found.put(identity, _name(identity, labels), image, bounded_labels(labels))
    found.host_networked = found.host_networked or _NETWORK_ENTRY not in spec


def _name(identity: str, labels: dict[str, str]) -> str:
    if labels.get(NAME_LABEL):
        return labels[NAME_LABEL]
    pod = [labels[label] for label in (POD_LABEL, CONTAINER_LABEL) if labels.get(label)]
    if pod:
        return "/".join(pod)
    return "" if _CHOSEN_BY_A_PROGRAM.fullmatch(identity) else identity
