"""Whose socket is this: container, process, or the machine's own.

Rules: the kernel tells the cgroup v2 in which a socket was made, TCP or UDP, whoever holds it
now, and its path names the container or is surely the machine's own. Where that says nothing (an
unknown layout, no cgroup v2, the engine on cgroup v1 or hybrid, a cgroup that is gone, an old
kernel), the process that holds the socket is looked for, and its `/proc/PID/cgroup` and its
namespaces are asked. The caller asks about new sockets only, all of a scan at once, so that the
tree and the processes are gone through once per scan at most.

Limits: the process of a socket may not be found (it is being passed on, or forks); the answer
is then not final, and the caller asks again on a later scan, `TRIES` times in all. Looking into
other users' processes needs root. From a container that does not see the machine's processes
(no `--pid=host`), only cgroups of known engines can be told; where it sees no cgroups either,
every listener counts as the machine's. `hindrance` says so.

Counterparts: `vmagent.containers` knows the paths and judges, `watcher` asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from link.listener import Container
from link.processes import GONE_OR_HIDDEN, PROC, Process, find_processes
from link.sockdiag import ListeningSocket
from vmagent.containers import (
    Namespaces,
    container_by_namespaces,
    container_of_path,
    is_machines_own,
)
from vmagent.watch.cgroups import ROOT, CgroupTree
from vmagent.watch.vantage import process_cgroups

__all__ = ["REMEDY", "TRIES", "Owner", "Owners"]

TRIES: Final = 5
"""Scans on which the process of a socket is looked for before the machine counts as owner."""

REMEDY: Final = "start the agent's container with --privileged --pid=host"

NOTHING_TOLD: Final = "no telling which listeners are containers': " + REMEDY
LESS_TOLD: Final = "only containers of known engines are told: " + REMEDY
"""What a person is told where the agent's container hides the machine from it."""


class Owner(NamedTuple):
    """The answer about one socket. `container` None is the machine itself.

    `final` is False if a later scan may know better.
    """

    container: Container | None
    process: Process | None
    final: bool


_MACHINE: Final = Owner(None, None, True)
_UNDECIDED: Final = Owner(None, None, False)


class Owners:
    """Finds owners. Keeps paths of cgroups, and how often a socket was asked for in vain.

    Made in the thread whose network namespace is the machine's.
    """

    def __init__(self, proc: str = PROC) -> None:
        self._proc = proc
        self._tree = CgroupTree(proc)
        self._own_ids = self._tree.own_ids
        self._machine = _machines_namespaces(proc, may_be_ours=not self._is_shut_in)
        self._tries: dict[int, int] = {}

    @property
    def cgroup_mount(self) -> str | None:
        """See `CgroupTree.mount`."""
        return self._tree.mount

    @property
    def hindrance(self) -> str:
        """What cannot be told from here, and the remedy, in words for a person; "" for nothing."""
        if not self._is_shut_in:
            return ""
        tells = self._tree.is_machines and not self._tree.has_version_1
        return LESS_TOLD if tells else NOTHING_TOLD

    @property
    def _is_shut_in(self) -> bool:
        """True if we are in a container, and see no processes but its own."""
        return not self._tree.root and (bool(self._own_ids) or self._tree.is_own_only)

    def find(self, sockets: Sequence[ListeningSocket]) -> dict[int, Owner]:
        """The owner of each socket, by cookie. Raises OSError only if /proc cannot be read."""
        if not sockets:
            return {}
        if any(self._tree.path_of(each.cgroup_id) is None for each in sockets):
            self._tree.refresh()
        owners: dict[int, Owner] = {}
        by_cgroup: dict[str, list[ListeningSocket]] = {}
        unknown: list[ListeningSocket] = []
        for each in sockets:
            path = self._tree.path_of(each.cgroup_id)
            if path is not None and self._container(path):
                by_cgroup.setdefault(path, []).append(each)
            elif path is None or self._tree.has_version_1 or not is_machines_own(path):
                unknown.append(each)
            else:
                owners[each.cookie] = _MACHINE
        for path, group in by_cgroup.items():
            owners.update(self._in_cgroup(path, group))
        owners.update(self._by_process(unknown))
        return owners

    @property
    def has_tries(self) -> bool:
        """True while a later scan may tell more of some socket."""
        return bool(self._tries)

    def forget_others(self, cookies: Iterable[int]) -> None:
        """Drop what is kept of sockets other than these."""
        kept = self._tries.keys() & set(cookies)
        self._tries = {cookie: self._tries[cookie] for cookie in kept}

    def _container(self, path: str) -> Container | None:
        return container_of_path(path, self._own_ids)

    def _in_cgroup(self, path: str, sockets: list[ListeningSocket]) -> dict[int, Owner]:
        container = self._container(path)
        inodes = {each.inode for each in sockets}
        processes = find_processes(inodes, self._tree.process_ids(path), self._proc)
        return {each.cookie: Owner(container, processes.get(each.inode), True) for each in sockets}

    def _by_process(self, sockets: list[ListeningSocket]) -> dict[int, Owner]:
        processes = self._processes(sockets)
        judged: dict[Process, Owner | None] = {}
        owners: dict[int, Owner] = {}
        for each in sockets:
            process = processes.get(each.inode)
            if process is not None and process not in judged:
                judged[process] = self._judge(process)
            owner = judged[process] if process is not None else None
            owners[each.cookie] = owner or self._in_vain(each)
        return owners

    def _processes(self, sockets: list[ListeningSocket]) -> dict[int, Process]:
        """Who holds them, by inode: mostly somebody in the cgroup in which a socket was made."""
        by_cgroup: dict[str, set[int]] = {}
        for each in sockets:
            path = self._tree.path_of(each.cgroup_id)
            if path not in (None, ROOT):
                by_cgroup.setdefault(str(path), set()).add(each.inode)
        found: dict[int, Process] = {}
        for path, inodes in by_cgroup.items():
            found.update(find_processes(inodes, self._tree.process_ids(path), self._proc))
        rest = {each.inode for each in sockets} - found.keys()
        found.update(find_processes(rest, None, self._proc))
        return found

    def _judge(self, process: Process) -> Owner | None:
        """By the process that holds the socket; None if it went, or is hidden."""
        paths = process_cgroups(str(process.pid), self._proc)
        for path in paths:
            container = self._container(path)
            if container:
                return Owner(container, process, True)
        if is_machines_own(*paths):
            return _MACHINE
        seen = _namespaces(str(process.pid), self._proc)
        if not paths or seen is None:
            return None
        container = container_by_namespaces(paths, process.name, seen, self._machine)
        return Owner(container, process, True) if container else _MACHINE

    def _in_vain(self, each: ListeningSocket) -> Owner:
        tries = self._tries[each.cookie] = self._tries.get(each.cookie, 0) + 1
        return _UNDECIDED if tries < TRIES else _MACHINE


def _namespaces(pid: str, proc: str) -> Namespaces | None:
    """The namespaces of a process (namespaces(7)), None if it is gone or hidden."""
    try:
        links = [os.readlink(f"{proc}/{pid}/ns/{name}") for name in ("mnt", "pid", "net")]
    except GONE_OR_HIDDEN:
        return None
    return Namespaces(*links)


def _machines_namespaces(proc: str, *, may_be_ours: bool) -> list[Namespaces]:
    """What counts as the machine: ours, for we may be in a container, and process 1's.

    Of networks only ours, for that is where the sockets are that we are asked about. None where
    process 1's are hidden from us in a container: ours alone are not the machine's.
    """
    ours = _namespaces("thread-self", proc)
    first = _namespaces("1", proc)
    if ours is None or (first is None and not may_be_ours):
        return []
    return [ours] if first is None else [ours, first._replace(network=ours.network)]
