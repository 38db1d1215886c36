"""Whose cgroup is this: from a cgroup path to the container, by its name only.

Rules: pure; a table of patterns, each matching whole components of a path, in both drivers'
spelling (`cgroupfs`: a directory named by the id; `systemd`: a scope unit). A pattern may match
anywhere in the path: engines run below parent slices, in user sessions and in nested machines,
and a container's own init may make further cgroups below. The outermost container wins, for
that is the one the machine's engine knows.

Limits: ids are the 64 hexadecimal digits that all these engines use; a container that was given
another cgroup name (`ctr run NAME`) is not recognized. Monitors (`libpod-conmon-…`) and the
engines themselves (`docker.service`) are no containers.

Counterpart: `vmagent.watch.owners` finds the path.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from link.listener import Container

__all__ = ["RUNTIMES", "container_of_path"]

_ID = "(?P<id>[0-9a-f]{64})"

RUNTIMES: Final = tuple(
    (runtime, re.compile(f"(?:^|/){pattern}(?=/|$)"))
    for runtime, pattern in (
        # systemd drivers: one scope unit per container
        ("docker", rf"docker-{_ID}\.scope"),
        ("podman", rf"libpod-{_ID}\.scope"),
        ("cri-o", rf"crio-{_ID}\.scope"),
        ("containerd", rf"cri-containerd-{_ID}\.scope"),
        ("containerd", rf"nerdctl-{_ID}\.scope"),
        # cgroupfs drivers: one directory per container
        ("docker", rf"docker/{_ID}"),
        ("podman", rf"libpod-{_ID}"),
        ("cri-o", rf"crio-{_ID}"),
        # containerd's slice notation, for which systemd is not asked: SLICE:cri-containerd:ID
        ("containerd", rf"[^/]+:cri-containerd:{_ID}"),
        ("kubernetes", rf"kubepods(?:/[^/]+)?/pod[^/]+/{_ID}"),
        # containerd's namespaces, and any engine's --cgroup-parent
        ("containerd", rf"(?:default|k8s\.io)/{_ID}"),
        ("container", _ID),
    )
)
"""Runtime and pattern, the more telling first: of two that find the same id, the first counts."""


def container_of_path(path: str, ignore: Collection[str] = ()) -> Container | None:
    """The container that a cgroup path belongs to, None for the machine's own.

    `ignore` holds ids that are not looked at: of the container that the reader itself runs in.
    """
    best: tuple[int, Container] | None = None
    for runtime, pattern in RUNTIMES:
        for match in pattern.finditer(path):
            start = match.start("id")
            if match["id"] not in ignore and (best is None or start < best[0]):
                best = (start, Container(match["id"], "", runtime))
    return best[1] if best else None
