"""Other load on the computer: how much there was while something was measured, and doing it again.

Rules: a measurement during which other processes had more than MOST_SHARE of a core is thrown away
and repeated at once, up to TRIES in all; if none was quiet, the quietest counts. So that a computer
that is never quiet delays the bench by a third and no more, only RETRIED of all measurements are
repeated, and none that took longer than LONGEST_REPEATED. What other processes are: all but the
bench's own, the daemon's, the machine's, and the kernel's threads, which work for those that are
measured. Time that the computer's own host gave to others (steal in proc(5)) counts as theirs.

Limits: /proc tells times to 10 ms. A process that begins and ends meanwhile is seen only if its
parent waits for it.

Counterpart: `contest.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tests.bench.stage import Stage

__all__ = ["Process", "Quiet", "processes", "seconds_of_others", "tree", "tree_seconds"]

MOST_SHARE: Final = 0.1
"""Of one core."""
TRIES: Final = 3
RETRIED: Final = 0.3
LONGEST_REPEATED: Final = 3.0
"""Seconds: what takes longer counts as it is, since some peers take very long for some cases."""
FIRST_RETRIES: Final = 10
"""That are granted before anything is known."""

PROC: Final = Path("/proc")
TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
KERNEL: Final = 2
"""The parent of the kernel's threads (kthreadd)."""
STEAL: Final = 8
"""The column of /proc/stat."""

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc/PID/stat tells: name, parent, CPU seconds with those of children waited for."""

    name: str
    parent: int
    seconds: float


def parse(stat: str) -> Process:
    """A line of /proc/PID/stat; the name may have spaces and parentheses."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    ticks = sum(map(int, fields[11:15]))
    return Process(head.partition("(")[2], int(fields[1]), ticks * TICK_SECONDS)


def processes() -> dict[int, Process]:
    """All there are now."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = parse((folder / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def tree(roots: Iterable[int], known: Mapping[int, Process]) -> set[int]:
    """The roots and all their descendants."""
    children: dict[int, list[int]] = {}
    for pid, process in known.items():
        children.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


def tree_seconds(roots: Collection[int], load: str) -> float:
    """CPU seconds so far of processes and all their descendants, but those named `load`."""
    known = processes()
    members = tree(roots, known) & known.keys()
    return sum(known[pid].seconds for pid in members if known[pid].name != load)


def seconds_of_others(
    before: Mapping[int, Process], after: Mapping[int, Process], ours: Collection[int]
) -> float:
    """CPU seconds between two looks of all processes that are not `ours`.

    A process that ended meanwhile has told its whole time to its parent, if that waited for it.
    """

    def total(known: Mapping[int, Process]) -> float:
        return sum(
            process.seconds
            for pid, process in known.items()
            if pid not in ours and KERNEL not in (pid, process.parent)
        )

    return max(total(after) - total(before), 0.0)


class Quiet:
    """Measures, and again if others disturbed it.

    Attributes:
        measured: measurements that count.
        thrown: measurements that were repeated.
        kept: measurements that count though others disturbed them.
    """

    def __init__(self, ours: Callable[[Mapping[int, Process]], set[int]]) -> None:
        self._ours = ours
        self.measured = self.thrown = self.kept = 0

    @classmethod
    def on(cls, stage: Stage, also: Callable[[], Collection[int]] = tuple) -> Quiet:
        """With what belongs to the stage, and `also` these and their descendants."""
        return cls(lambda known: _of_stage(stage, known) | tree(also(), known))

    def measure(self, once: Callable[[], Measured]) -> Measured:
        """What `once` returns."""
        self.measured += 1
        begin = time.monotonic()
        best, least = self._watched(once)
        is_long = time.monotonic() - begin > LONGEST_REPEATED
        for _ in range(TRIES - 1):
            is_spent = self.thrown >= FIRST_RETRIES + RETRIED * self.measured
            if least <= MOST_SHARE or is_spent or is_long:
                break
            self.thrown += 1
            again, share = self._watched(once)
            if share < least:
                best, least = again, share
        self.kept += least > MOST_SHARE
        return best

    def _watched(self, once: Callable[[], Measured]) -> tuple[Measured, float]:
        before, stolen, begin = processes(), _steal_seconds(), time.monotonic()
        result = once()
        seconds, after = time.monotonic() - begin, processes()
        ours = self._ours(before) | self._ours(after)
        spent = seconds_of_others(before, after, ours) + _steal_seconds() - stolen
        return result, spent / seconds


def _of_stage(stage: Stage, known: Mapping[int, Process]) -> set[int]:
    daemon, agent = stage.pids
    machine = (PROC / str(agent) / "ns/pid").readlink()
    return tree((os.getpid(), daemon), known) | {pid for pid in known if _is_in(pid, machine)}


def _is_in(pid: int, machine: Path) -> bool:
    try:
        return (PROC / str(pid) / "ns/pid").readlink() == machine
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _steal_seconds() -> float:
    with (PROC / "stat").open() as stat:
        return int(stat.readline().split()[STEAL]) * TICK_SECONDS
