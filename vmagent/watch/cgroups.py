"""The cgroup v2 tree: from the id that the kernel gives with a socket to the path.

Rules: a cgroup's id is the inode number of its directory (kernfs). Paths are relative to the
mount, as the reader's cgroup namespace shows it: "/" is its root. The mounts are the machine's
where those can be seen (`vantage`), else our own. The tree is walked only for an id that is not
known yet.

Limits: at most `MOST_CGROUPS` directories are walked. A cgroup removed while a socket made in it
lives on is not found any more. A container with a cgroup namespace of its own and without sight
of the machine's mounts sees one cgroup, its own: nothing can be told by that.

Cost: 2 ms for 300 cgroups; leaves (link count 2, as kernfs keeps it) are not listed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from link.processes import GONE_OR_HIDDEN, PROC
from vmagent.watch.vantage import container_ids, machines_root, process_cgroups

__all__ = ["MOST_CGROUPS", "CgroupTree", "Mount", "find_mounts"]

MOST_CGROUPS: Final = 65_536
"""Directories walked at most: a container may make cgroups, we must not follow for ever."""

ROOT: Final = "/"

NEVER_IN_ROOT_2: Final = "cgroup.events"
ONLY_IN_ROOT_1: Final = "cgroup.sane_behavior"
"""Files by which the root of the kernel's tree is known, of either version: Linux,
kernel/cgroup/cgroup.c (CFTYPE_NOT_ON_ROOT) and cgroup-v1.c (CFTYPE_ONLY_ON_ROOT)."""

LEAF_LINKS: Final = 2
"""Link count of a directory without directories in it: its name and its "."."""


_PROCESS_ID: Final = re.compile(r"[0-9]{1,10}")

NOT_SEEN: Final = "this container hides the machine's cgroups"


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
        if kind in ("cgroup", "cgroup2") and len(words) >= 5 and "\0" not in words[4]:
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
    """Resolves cgroup ids. Nothing here raises for cgroups that come and go.

    Attributes:
        root: what the machine's paths begin with here (`vantage`).
        own_ids: the containers that we are in, as far as our cgroups tell.
        has_version_1: whether there are hierarchies of version 1, too.
        is_own_only: whether all that can be seen is the cgroup that we are in.
    """

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._paths: dict[int, str] = {}
        self._mount: str | None = None
        self.root = machines_root(proc)
        self.refresh()
        self.own_ids = self._find_own_ids()

    def refresh(self) -> None:
        """Look at the mounts and walk the tree anew. Raises OSError if /proc cannot be read."""
        mounts = self._mounts("1", self.root) if self.root else self._mounts("self")
        self.has_version_1 = any(mount.version == 1 for mount in mounts)
        visible = [mount for mount in mounts if _is_visible(mount)]
        self.is_own_only = bool(visible) and all(map(_shows_one_cgroup, visible))
        self._mount = _best_mount(visible)
        self._paths = dict(_walk(self._mount)) if self._mount else {}

    @property
    def is_machines(self) -> bool:
        """False if we are in a container, and what can be seen is not the machine's tree."""
        if self.root:
            return True
        return not self.is_own_only and (self._mount is not None or not self.own_ids)

    @property
    def mount(self) -> str | None:
        """Where the machine's tree is mounted; None if it is nowhere.

        Raises OSError if that is not to be seen from here; to mount it once more would change
        the options of all its mounts (cgroups(7), `nsdelegate`).
        """
        if not self.is_machines:
            raise OSError(errno.EPERM, NOT_SEEN)
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
            name = f"{self._mount}{path}/cgroup.procs"
            with open(name, encoding="ascii", errors="replace") as file:
                ids = [int(line) for line in file if _PROCESS_ID.fullmatch(line.rstrip())]
        except (*GONE_OR_HIDDEN, NotADirectoryError):
            return []
        return sorted((pid for pid in ids if pid > 0), reverse=True)

    def _mounts(self, process: str, root: str = "") -> list[Mount]:
        path = f"{self._proc}/{process}/mountinfo"
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [each._replace(point=root + each.point) for each in find_mounts(file.read())]

    def _find_own_ids(self) -> frozenset[str]:
        """By what our cgroups are called, and by what the tree calls the one we are in."""
        paths = process_cgroups("self", self._proc)
        for mount in self._mounts("self"):
            if mount.version == 2 and mount.root == ROOT and _is_visible(mount):
                for path in process_cgroups("self", self._proc, of_version_2=True):
                    with contextlib.suppress(OSError):  # ours lies above what is mounted
                        paths.append(self._paths.get(os.stat(mount.point + path).st_ino, ROOT))
        return container_ids(paths)


def _best_mount(visible: list[Mount]) -> str | None:
    """The version 2 mount that shows most."""
    candidates = [mount for mount in visible if mount.version == 2]
    # A root of "/.." lies above the root of our cgroup namespace (cgroup_namespaces(7)).
    best = min(candidates, key=lambda each: (-each.root.count(".."), len(each.root)), default=None)
    return best.point if best else None


def _shows_one_cgroup(mount: Mount) -> bool:
    """True for a container's own cgroup: it has none below, and is not the root of all."""
    try:
        is_leaf = os.stat(mount.point).st_nlink == LEAF_LINKS
    except OSError:
        return False
    if mount.version == 1:
        return is_leaf and not os.path.exists(f"{mount.point}/{ONLY_IN_ROOT_1}")
    return is_leaf and os.path.exists(f"{mount.point}/{NEVER_IN_ROOT_2}")


def _is_visible(mount: Mount) -> bool:
    try:
        device = os.stat(mount.point).st_dev
    except OSError:
        return False
    return f"{os.major(device)}:{os.minor(device)}" == mount.device


def _walk(top: str) -> Iterator[tuple[int, str]]:
    try:
        yield os.stat(top).st_ino, ROOT
    except GONE_OR_HIDDEN:
        return
    waiting = deque([""])
    count = 1
    while waiting:
        path = waiting.popleft()
        for inode, name, has_children in _subdirectories(top + path):
            if count >= MOST_CGROUPS:
                return
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
