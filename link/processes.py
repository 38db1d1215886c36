"""Which process holds a socket: inode to process by `/proc/PID/fd` (proc(5)).

Rules: Linux, standard library. Looking is dear (one readlink per open file of each process), so
callers ask only for inodes they have not asked for before, and give the process ids to look at
where they know them.

Limits: an ordinary user sees only their own processes' files; the rest is simply not found. Of
several processes that share a socket (fork) the youngest id is named. A name is the kernel's
`comm`: 15 bytes.

Counterparts: `desktop.listeners.linux`, `vmagent.watch.owners`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

__all__ = [
    "GONE_OR_HIDDEN",
    "PROC",
    "Process",
    "find_processes",
    "process_ids",
    "process_name",
]

PROC: Final = "/proc"

SOCKET_LINK: Final = "socket:["
"""How /proc/PID/fd/N names a socket: `socket:[inode]` (proc(5))."""

GONE_OR_HIDDEN: Final = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading of a process that ended, or of somebody else's, gives. Never an error here."""


class Process(NamedTuple):
    """A process, by its id on its own side and its name ("" if it went meanwhile)."""

    pid: int
    name: str


def process_ids(proc: str = PROC) -> list[int]:
    """All process ids now, youngest first by number: a new listener's process is mostly young."""
    return sorted((int(name) for name in os.listdir(proc) if name.isdigit()), reverse=True)


def process_name(pid: int, proc: str = PROC) -> str:
    """The name of a process, "" if it is gone or hidden."""
    try:
        with open(f"{proc}/{pid}/comm", "rb") as file:
            return file.read().rstrip(b"\n").decode("utf-8", "replace")
    except GONE_OR_HIDDEN:
        return ""


def find_processes(
    inodes: Collection[int], pids: Iterable[int] | None = None, proc: str = PROC
) -> dict[int, Process]:
    """The process of each socket inode, as far as found.

    Looks at `pids` only, or at every process; stops as soon as all are found.
    """
    wanted = set(inodes)
    wanted.discard(0)
    found: dict[int, Process] = {}
    if not wanted:
        return found
    for pid in process_ids(proc) if pids is None else pids:
        held = wanted & _socket_inodes(f"{proc}/{pid}/fd", wanted)
        if held:
            process = Process(pid, process_name(pid, proc))
            found.update(dict.fromkeys(held, process))
            wanted -= held
            if not wanted:
                break
    return found


def _socket_inodes(directory: str, wanted: Collection[int]) -> set[int]:
    inodes: set[int] = set()
    known = {str(inode): inode for inode in wanted}
    try:
        names = os.listdir(directory)
    except GONE_OR_HIDDEN:
        return inodes
    for name in names:
        try:
            link = os.readlink(f"{directory}/{name}")
        except GONE_OR_HIDDEN:
            continue
        if link.startswith(SOCKET_LINK):
            digits = link[len(SOCKET_LINK) : -1]
            if digits in known:
                inodes.add(known[digits])
    return inodes
