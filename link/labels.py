"""Labels of a container: how many and how long they may be, and which service they speak of.

Rules: pure. Labels come from strangers: `bounded_labels` makes of anything what may be kept and
sent, and `service_of` reads it. Of too many, those that name a service are kept, then the first by
name. A value is cut, with an ellipsis as its last letter; a name is not, for it would be another.

Limits: those below, in letters, of which JSON makes six bytes each at most. Control characters in
values stay: whoever shows them to a person makes them harmless.

Counterparts: `vmagent.engines` bound what engines say, `link.messages` carries and checks it,
`desktop.cli.ports` shows it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "ALL_LETTERS",
    "MOST_LABELS",
    "NAME_LETTERS",
    "VALUE_LETTERS",
    "Labels",
    "are_within_limits",
    "bounded_labels",
    "service_of",
]

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, no name twice."""

MOST_LABELS: Final = 64
NAME_LETTERS: Final = 128
"""Of a label's name; a label with a longer one is left out."""
VALUE_LETTERS: Final = 256
"""Of a label's value; a longer one is cut."""
ALL_LETTERS: Final = 4096
"""Of all names and values of one container; a label for which no room is left is left out."""

SERVICES: Final = (
    (
        ("com.docker.compose.project", "io.podman.compose.project"),
        ("com.docker.compose.service", "io.podman.compose.service"),
    ),
    (("com.docker.swarm.service.name",),),
    (("io.kubernetes.pod.namespace",), ("io.kubernetes.pod.name",)),
)
"""Ways to name a service, the first that a container has counts: parts, each by one of some labels.

Sources: docker/compose pkg/api/labels.go; containers/podman-compose podman_compose.py; moby
daemon/cluster/executor/container/container.go; kubernetes pkg/kubelet/types/labels.go."""

_OF_SERVICES: Final = frozenset(name for way in SERVICES for part in way for name in part)

_ELLIPSIS: Final = "…"


def bounded_labels(raw: object) -> Labels:
    """What is kept of the labels that an engine told; () for what is no mapping."""
    if not isinstance(raw, dict):
        return ()
    kept = {
        name: _short(value)
        for name, value in raw.items()
        if _is_name(name) and isinstance(value, str)
    }
    if len(kept) > MOST_LABELS or _letters(kept) > ALL_LETTERS:
        kept = _most_important(kept)
    return tuple(sorted(kept.items()))


def are_within_limits(labels: Mapping[Any, Any]) -> bool:
    """True for what `bounded_labels` might have made."""
    return (
        len(labels) <= MOST_LABELS
        and all(isinstance(value, str) and _is_name(name) for name, value in labels.items())
        and all(value == _short(value) for value in labels.values())
        and _letters(labels) <= ALL_LETTERS
    )


def service_of(labels: Mapping[str, str]) -> str:
    """The service that a container is of, such as "project/service"; "" if it is of none."""
    for way in SERVICES:
        parts = (next((labels[name] for name in part if labels.get(name)), "") for part in way)
        if service := "/".join(filter(None, parts)):
            return service
    return ""


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= NAME_LETTERS and name.isprintable()


def _letters(labels: Mapping[str, str]) -> int:
    return sum(map(len, labels)) + sum(map(len, labels.values()))


def _most_important(labels: dict[str, str]) -> dict[str, str]:
    kept, room = {}, ALL_LETTERS
    for name in heapq.nsmallest(MOST_LABELS, labels, key=_importance):
        letters = len(name) + len(labels[name])
        if letters <= room:
            room -= letters
            kept[name] = labels[name]
    return kept


def _importance(name: str) -> tuple[bool, str]:
    return name not in _OF_SERVICES, name


def _short(value: str) -> str:
    """At most VALUE_LETTERS, and none that UTF-8 cannot carry (halves of a pair in JSON)."""
    if len(value) > VALUE_LETTERS:
        value = value[: VALUE_LETTERS - 1] + _ELLIPSIS
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
