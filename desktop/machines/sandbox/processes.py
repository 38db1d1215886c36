"""Processes by descriptor: wait for and end exactly the ones that are meant.

Rules: a process is signalled through a descriptor (pidfd_open(2)) that was checked after it was
opened, so a process id that is used again hits nobody else. Waiting is for the descriptor to
become readable, never a sleep. Processes that have ended but are not collected do not count.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from desktop.machines.sandbox.record import start_time

__all__ = ["end", "end_members", "members", "open_process", "wait_for_exit"]

PROC: Final = Path("/proc")
BATCH: Final = 16
"""Processes ended one by one before looking again: ending process 1 ends most of the others."""


def members(cgroup: str, proc: Path = PROC) -> list[int]:
    """Process ids in cgroup v2 `cgroup` (no leading slash) or below, mounted or not."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit() and _is_member(entry, cgroup):
            pid = int(entry.name)
            if start_time(pid, proc) is not None:
                found.append(pid)
    return sorted(found)


def _is_member(process: Path, cgroup: str) -> bool:
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    paths = (line.removeprefix("0::") for line in lines if line.startswith("0::"))
    return any(f"{path}/".startswith(f"/{cgroup}/") for path in paths)


def open_process(pid: int) -> int | None:
    """A descriptor of the process, which the caller closes; None if it has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


async def wait_for_exit(descriptor: int) -> None:
    """Wait until the process behind `descriptor` has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    # A copy: two waiters may watch one process, but the loop takes a descriptor only once.
    watched = os.dup(descriptor)
    loop.add_reader(watched, _announce, ended)
    try:
        await ended
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def end(pid: int, is_meant: Callable[[], bool]) -> None:
    """Kill process `pid` and wait for its end, unless `is_meant` says that it is another."""
    descriptor = open_process(pid)
    if descriptor is None:
        return
    try:
        if is_meant():
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            await wait_for_exit(descriptor)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


async def end_members(cgroup: str) -> None:
    """Kill all processes in `cgroup` or below, until there are none.

    Many at once: a first process ends only once its children are collected, which one that has been
    stopped (SIGSTOP) does not do.
    """
    while pids := members(cgroup):
        await asyncio.gather(
            *(
                end(pid, functools.partial(_is_member, PROC / str(pid), cgroup))
                for pid in pids[:BATCH]
            )
        )


def _announce(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
