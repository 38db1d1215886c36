"""What daemon and agent hold: files by kind, memory, threads, tasks, and what nobody has noticed.

Rules: what is held at rest is held again at the end, no more; but for what is kept on purpose so as
not to be made anew, which has its limit:

| kept | at most |
| --- | --- |
| pipes of the relay | MAX_SPARE_PIPES, of two descriptors each |
| streams between daemon and agent, drawn from here and from there | MAX_IDLE each |
| raw sockets, to tell clients that nobody has their port | one per family, once it was needed |
| threads that do what would block the loop | asyncio's executor has a thread per processor and 4 |
| memory | MORE_BYTES; after half an hour it was 1 MiB, at most 4, and one stream takes 2 KiB |

Streams have two ends: daemon and agent hold equally many. Sockets that listen are not counted here
but compared one by one (`listening.py`): how many there are is up to other programs, too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from link.pool import MAX_IDLE
from link.relay.kernel import MAX_SPARE_PIPES
from tests.integration.samehost import Samehost, until
from tests.soak.daemon import tasks_file
from tests.soak.held import CLOSE_WAIT, held_by

__all__ = ["Level", "at_rest", "beyond", "connections", "level_of", "levels"]

MORE: Final = {"pipe": 2 * MAX_SPARE_PIPES, "stream": 2 * MAX_IDLE, "raw": 2}
MORE_BYTES: Final = 16 << 20
REST_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
MOST_THREADS: Final = min(32, (os.cpu_count() or 1) + 4)
"""Of a ThreadPoolExecutor (concurrent.futures)."""


@dataclass(frozen=True)
class Level:
    """One process at one time; `tasks` are names, None if they were not asked for."""

    kinds: Mapping[str, int]
    memory: int
    threads: int
    forgotten: int
    tasks: tuple[str, ...] | None = None

    def words(self) -> str:
        """For a person."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        tasks = "" if self.tasks is None else f", {len(self.tasks)} tasks"
        return f"{kinds}; {self.threads} threads{tasks}, {self.memory >> 20} MiB"

    def beyond(self, start: Level) -> str:
        """What is more than it may be, in words; "" for nothing."""
        words = []
        for kind, count in sorted(self.kinds.items()):
            before = start.kinds.get(kind, 0)
            if count > before + MORE.get(kind, 0):
                words.append(f"{count} of {kind}, {before} at the start")
        if self.memory > start.memory + MORE_BYTES:
            words.append(f"{self.memory >> 20} MiB, {start.memory >> 20} at the start")
        if self.threads > start.threads + MOST_THREADS:
            words.append(f"{self.threads} threads, {start.threads} at the start")
        if self.forgotten:
            words.append(f"{self.forgotten} connections in CLOSE_WAIT")
        if self.tasks is not None and start.tasks is not None:
            more = Counter(self.tasks) - Counter(start.tasks)
            words += [f"task {name!r} is too many" for name in sorted(more)]
        return "; ".join(words)


def level_of(process: int, stream: str = "", tasks: tuple[str, ...] | None = None) -> Level:
    """What a process holds now; `stream` is the kind of socket that a stream is."""
    folder = Path(f"/proc/{process}")
    kinds, inets = held_by(process)
    kinds -= Counter(each.protocol for each in inets if each.listens)  # `listening.py` has those
    if stream:
        kinds["stream"] = kinds.pop(stream, 0)
    return Level(
        kinds=kinds,
        memory=int((folder / "statm").read_text().split()[1]) * resource.getpagesize(),
        threads=len(list((folder / "task").iterdir())),
        forgotten=sum(each.protocol == "tcp" and each.state == CLOSE_WAIT for each in inets),
        tasks=tasks,
    )


def levels(samehost: Samehost, stream: str) -> dict[str, Level]:
    """Of daemon and agent."""
    return {
        who: level_of(process, stream, _tasks(samehost, who, process))
        for who, process in (("daemon", samehost.daemon()), ("agent", samehost.agent()))
    }


def at_rest(samehost: Samehost, stream: str) -> dict[str, Level]:
    """Of daemon and agent, once neither opens or closes anything any more: streams are dialled
    ahead, and for a moment the one who dials has them alone.
    """
    deadline = time.monotonic() + REST_SECONDS
    last = levels(samehost, stream)
    while True:
        time.sleep(LOOK_SECONDS)
        now = levels(samehost, stream)
        if all(now[who].kinds == last[who].kinds for who in now):
            return now
        if time.monotonic() > deadline:
            raise TimeoutError(f"neither load nor faults, and no rest: {last}, {now}")
        last = now


def beyond(now: Mapping[str, Level], start: Mapping[str, Level]) -> list[str]:
    """What is more than it may be, of either and between the two."""
    found = [f"{who}: {words}" for who in now if (words := now[who].beyond(start[who]))]
    more = _surplus(now) - _surplus(start)
    if more:
        found.append(f"the daemon has {more} streams more than the agent")
    return found


def connections(samehost: Samehost) -> str:
    """All of either process, to find out what is too much."""
    lines = []
    for who, process in (("daemon", samehost.daemon()), ("agent", samehost.agent())):
        _, inets = held_by(process)
        found = sorted((each.protocol, each.port, each.peer, each.state) for each in inets)
        lines += [who, *(f"  {words}" for words in found)]
    return "\n".join(lines)


def _surplus(of: Mapping[str, Level]) -> int:
    return of["daemon"].kinds.get("stream", 0) - of["agent"].kinds.get("stream", 0)


def _tasks(samehost: Samehost, who: str, process: int) -> tuple[str, ...]:
    """Names of tasks, as `daemon.py` has them told."""
    told = tasks_file(samehost.home, who)
    with contextlib.suppress(FileNotFoundError):
        told.unlink()
    os.kill(process, signal.SIGUSR1)
    until(told.exists, f"the {who} to name its tasks")
    return tuple(told.read_text().splitlines())
