"""The cgroup v2 tree: from the id that the kernel gives with a socket to the path.

Rules: a cgroup's id is the inode number of its directory (kernfs). Paths are relative to the
mount, as the reader's cgroup namespace shows it: "/" is its root. The tree is walked only for an
id that is not known yet.

Limits: at most `MOST_CGROUPS` directories are walked. A cgroup removed while a socket made in it
lives on is not found any more.

Cost: 2 ms for 300 cgroups; leaves (link count 2, as kernfs keeps it) are not listed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from link.processes import GONE_OR_HIDDEN, PROC

__all__ = ["MOST_CGROUPS", "CgroupTree", "Mount", "find_mounts"]

MOST_CGROUPS: Final = 65_536
"""Directories walked at most: a container may make cgroups, we must not follow for ever."""

LEAF_LINKS: Final = 2
"""Link count of a directory without directories in it: its name and its "."."""


class Mount(NamedTuple):
    """A line of mountinfo (proc(5)) about a cgroup file system."""

    point: str
    root: str
    device: str
    version: int


def find_mounts(mountinfo: str) -> list[Mount]:
    """The cgroup mounts in the text of /proc/PID/mountinfo. Lines it does not know are left out."""
    mounts = []
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        kind = rest.partition(" ")[0]
        words = fields.split(" ")
        if kind in ("cgroup", "cgroup2") and len(words) >= 5:
            mounts.append(
                Mount(_unescape(words[4]), _unescape(words[3]), words[2], 1 + (kind == "cgroup2"))
            )
    return mounts


def _unescape(word: str) -> str:
    # Blank, tab, newline and backslash are written as octal numbers (proc(5)).
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        word = word.replace("\\" + code, character)
    return word


class CgroupTree:
    """Resolves cgroup ids. Nothing here raises for cgroups that come and go."""

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._paths: dict[int, str] = {}
        self._mount: str | None = None
        self.has_version_1 = False
        self.refresh()

    def refresh(self) -> None:
        """Look at the mounts and walk the tree anew."""
        with open(f"{self._proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
            mounts = find_mounts(f.read())
        self.has_version_1 = any(mount.version == 1 for mount in mounts)
        self._mount = _best_mount(mounts)
        self._paths = dict(_walk(self._mount)) if self._mount else {}

    @property
    def mount(self) -> str | None:
        """Where the tree is mounted that shows most; None if it is nowhere."""
        return self._mount

    @property
    def paths(self) -> Mapping[int, str]:
        """Every path as of the last `refresh`, by id."""
        return self._paths

    def path_of(self, cgroup_id: int) -> str | None:
        """The path of a cgroup as of the last `refresh`; None if it was not there."""
        return self._paths.get(cgroup_id)

    def process_ids(self, path: str) -> list[int]:
        """The processes in a cgroup, youngest first; without those that we may not see."""
        try:
            with open(f"{self._mount}{path}/cgroup.procs", encoding="ascii") as file:
                ids = [int(line) for line in file]
        except (*GONE_OR_HIDDEN, NotADirectoryError):
            return []
        return sorted((pid for pid in ids if pid > 0), reverse=True)


def _best_mount(mounts: list[Mount]) -> str | None:
    """The version 2 mount that shows most and is not hidden below another mount."""
    visible = [mount for mount in mounts if mount.version == 2 and _is_visible(mount)]
    # A root of "/.." lies above the root of our cgroup namespace (cgroup_namespaces(7)).
    best = min(visible, key=lambda each: (-each.root.count(".."), len(each.root)), default=None)
    return best.point if best else None


def _is_visible(mount: Mount) -> bool:
    try:
        device = os.stat(mount.point).st_dev
    except OSError:
        return False
    return f"{os.major(device)}:{os.minor(device)}" == mount.device


def _walk(top: str) -> Iterator[tuple[int, str]]:
    try:
        yield os.stat(top).st_ino, "/"
    except GONE_OR_HIDDEN:
        return
    waiting = deque([""])
    count = 1
    while waiting and count < MOST_CGROUPS:
        path = waiting.popleft()
        for inode, name, has_children in _subdirectories(top + path):
            count += 1
            yield inode, f"{path}/{name}"
            if has_children:
                waiting.append(f"{path}/{name}")


def _subdirectories(directory: str) -> list[tuple[int, str, bool]]:
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    links = entry.stat(follow_symlinks=False).st_nlink
                    found.append((entry.inode(), entry.name, links != LEAF_LINKS))
    except GONE_OR_HIDDEN:
        pass  # removed while we looked: what was seen of it stands
    return found
