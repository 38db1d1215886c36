"""What a process holds: files, memory, threads, and connections whose end nobody has noticed."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from link.pool import MAX_IDLE

__all__ = ["Level", "level_of"]

MORE_FILES: Final = 2 * MAX_IDLE + 32
"""Streams that were needed at once, when all clients came back, are kept, either way."""
MORE_BYTES: Final = 48 << 20
CLOSE_WAIT: Final = "08"
"""net/tcp_states.h, as /proc/net/tcp has it."""


@dataclass(frozen=True)
class Level:
    """One process at one time."""

    files: int
    memory: int
    threads: int
    forgotten: int

    def beyond(self, start: Level) -> str:
        """What is more than at the start, in words; "" for nothing."""
        words = []
        if self.files > start.files + MORE_FILES:
            words.append(f"{self.files} files, {start.files} at the start")
        if self.memory > start.memory + MORE_BYTES:
            words.append(f"{self.memory >> 20} MiB, {start.memory >> 20} at the start")
        if self.threads > start.threads:
            words.append(f"{self.threads} threads, {start.threads} at the start")
        if self.forgotten:
            words.append(f"{self.forgotten} connections in CLOSE_WAIT")
        return "; ".join(words)


def level_of(process: int) -> Level:
    """What a process holds now."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    links = []
    for entry in (folder / "fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except FileNotFoundError:
            continue  # closed meanwhile
    return Level(
        files=len(links),
        memory=pages * resource.getpagesize(),
        threads=len(list((folder / "task").iterdir())),
        forgotten=_forgotten(folder, set(links)),
    )


def _forgotten(folder: Path, links: set[str]) -> int:
    count = 0
    for name in ("tcp", "tcp6"):
        for line in (folder / "net" / name).read_text().splitlines()[1:]:
            words = line.split()
            count += words[3] == CLOSE_WAIT and f"socket:[{words[9]}]" in links
    return count
