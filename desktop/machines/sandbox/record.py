"""What a running sandbox is, written down so that another process finds, checks and ends it.

Rules: one JSON object in the state folder, replaced atomically. A record is believed only if
its process is the one meant: same start time (proc(5), /proc/PID/stat, field 22, clock ticks
since boot) and same boot of the computer, since process ids are used again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["RECORD_NAME", "Record", "boot_id", "load", "save", "start_time"]

RECORD_NAME: Final = "machine.json"
RECORD_VERSION: Final = 1

_START_TIME_AFTER_NAME: Final = 19
"""Index of field 22 among the fields after the program's name, which is field 2."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One booted sandbox; `pid` is its process 1 as this computer sees it."""

    version: int = RECORD_VERSION
    boot: str
    pid: int
    start_time: int
    machine_address: str
    host_address: str
    interface: str
    cgroup: str

    def is_alive(self, proc: Path = Path("/proc")) -> bool:
        """True while the very process that was recorded runs."""
        return self.boot == boot_id(proc) and start_time(self.pid, proc) == self.start_time


def boot_id(proc: Path = Path("/proc")) -> str:
    """A name of the time since the computer's last start (random(4))."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int, proc: Path = Path("/proc")) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if it has ended."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return int(fields[_START_TIME_AFTER_NAME - 1])


def load(folder: Path) -> Record | None:
    """The record in `folder`; None if there is none that can be read and believed."""
    try:
        record = msgspec.json.decode((folder / RECORD_NAME).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return record if record.version == RECORD_VERSION else None


def save(record: Record, folder: Path) -> None:
    """Replace the record in `folder`. Raises OSError."""
    new = folder / (RECORD_NAME + ".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    os.replace(new, folder / RECORD_NAME)
