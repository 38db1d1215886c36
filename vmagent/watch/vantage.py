"""From where the agent looks at the machine: from within, or out of a container of it.

    paths of files           the machine's, ours or below /proc/1/root: mounts, engines' sockets
    paths of cgroups         as process 1 sees them, once `join_machines_cgroups` was called

Rules: process 1, as /proc shows it, is the machine's unless its cgroup names a container that we
are not in; where it has our mount namespace there is nothing more to be seen through it. The
cgroup namespace is changed for good: that moves no process, it only changes what paths are
relative to. The mount namespace is not, for Python goes on to import modules.

Limits: seeing through process 1 needs `--pid=host`, CAP_SYS_PTRACE (proc(5)) and, to join its
cgroup namespace, CAP_SYS_ADMIN: a privileged container has them.

Counterparts: `cgroups`, `owners` and `vmagent.engine` look from here; `vmagent.__main__` joins.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections import deque
from collections.abc import Iterable
from typing import Final

from link.processes import GONE_OR_HIDDEN, PROC
from vmagent.containers import container_of_path

__all__ = [
    "container_ids",
    "join_machines_cgroups",
    "machines_path",
    "machines_root",
    "process_cgroups",
]

CLONE_NEWCGROUP: Final = 0x02000000
"""linux/sched.h."""

MOST_LINKS: Final = 40
"""Symbolic links followed in one path, as the kernel does (path_resolution(7))."""

_log = logging.getLogger(__name__)


def machines_root(proc: str = PROC) -> str:
    """What the machine's paths begin with here: "" where they are ours, or cannot be had."""
    root = f"{proc}/1/root"
    return root if _is_beyond("mnt", proc) and os.path.isdir(root) else ""


def join_machines_cgroups(proc: str = PROC) -> None:
    """See cgroups by the names that they have in the machine, where that is possible.

    Holds for this thread and those that it will start. Never raises; a failure is logged.
    """
    if not _is_beyond("cgroup", proc):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        namespace = os.open(f"{proc}/1/ns/cgroup", os.O_RDONLY | os.O_CLOEXEC)
    except GONE_OR_HIDDEN as error:
        _log.warning("cgroups are seen from this container only: %s", error)
        return
    try:
        if libc.setns(namespace, CLONE_NEWCGROUP) != 0:
            words = os.strerror(ctypes.get_errno())
            _log.warning("cgroups are seen from this container only: setns: %s", words)
    finally:
        os.close(namespace)


def machines_path(root: str, path: str) -> str:
    """What the machine calls `path`, as it is called here, free of symbolic links.

    A link in the machine's files means the machine's, also if it begins with "/": the kernel
    would take that for ours.
    """
    if not root:
        return os.path.realpath(path)
    resolved, waiting, links = "", deque(path.split("/")), 0
    while waiting:
        part = waiting.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            resolved = resolved.rpartition("/")[0]
            continue
        try:
            target = os.readlink(f"{root}{resolved}/{part}")
        except OSError:
            resolved += f"/{part}"  # no link, or not there
            continue
        links += 1
        if links > MOST_LINKS:
            return root + path
        resolved = "" if target.startswith("/") else resolved
        waiting.extendleft(reversed(target.split("/")))
    return root + resolved


def process_cgroups(pid: str, proc: str = PROC, *, of_version_2: bool = False) -> list[str]:
    """The cgroup paths of a process, one per hierarchy, or only that of version 2 if there is one.

    Lines are `id:controllers:path`, of version 2 with the id 0 (cgroups(7)).
    """
    try:
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except GONE_OR_HIDDEN:
        return []
    return [line[-1] for line in lines if line[0] == "0" or not of_version_2]


def container_ids(paths: Iterable[str]) -> frozenset[str]:
    """Ids of all containers on these paths, nested ones too."""
    ids: set[str] = set()
    for path in paths:
        container = container_of_path(path, ids)
        while container:
            ids.add(container.id)
            container = container_of_path(path, ids)
    return frozenset(ids)


def _is_beyond(name: str, proc: str) -> bool:
    """Whether process 1 is the machine's and in another namespace of that kind (namespaces(7))."""
    try:
        ours, first = (os.readlink(f"{proc}/{each}/ns/{name}") for each in ("thread-self", "1"))
    except GONE_OR_HIDDEN:
        return False
    own_ids = container_ids(process_cgroups("self", proc))
    return ours != first and container_ids(process_cgroups("1", proc)) <= own_ids
