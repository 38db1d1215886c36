"""What a process costs, as /proc tells it (proc(5)). Linux only."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Final

__all__ = [
    "cpu_seconds",
    "find_python",
    "memory_mib",
    "open_files",
    "resident_mib",
    "settled_files",
    "socket_inodes",
    "waited_seconds",
]

PROC: Final = Path("/proc")
QUIET_SECONDS: Final = 0.5
SETTLE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05


def memory_mib(pid: int) -> float:
    """Proportional set size; resident set size where the kernel does not tell that."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, PermissionError):
        text = (PROC / str(pid) / "status").read_text()
    match = re.search(r"^(?:Pss|VmRSS):\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"/proc tells no memory of process {pid}")
    return int(match[1]) / 1024


def resident_mib(pid: int) -> float:
    """Resident set size, with all that is shared."""
    text = (PROC / str(pid) / "status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """Time on a core so far, of all threads; to the nanosecond, unlike times(2)."""
    return _scheduled(pid, 0)


def waited_seconds(pid: int) -> float:
    """Time so far in which a thread could have run and others had the cores."""
    return _scheduled(pid, 1)


def _scheduled(pid: int, field: int) -> float:
    tasks = (PROC / str(pid) / "task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[field]) for task in tasks) / 1e9


def open_files(pid: int) -> int:
    """Descriptors open now."""
    return sum(1 for _ in (PROC / str(pid) / "fd").iterdir())


def socket_inodes(pid: int) -> set[int]:
    """Inodes of the sockets it has open, as sock_diag names them."""
    inodes = set()
    for entry in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                inodes.add(int(match[1]))
    return inodes


def settled_files(*pids: int) -> tuple[int, ...]:
    """Descriptors of each process once they have not changed for a while."""
    deadline = time.monotonic() + SETTLE_SECONDS
    since = time.monotonic()
    counts = tuple(map(open_files, pids))
    while time.monotonic() < deadline and time.monotonic() - since < QUIET_SECONDS:
        time.sleep(POLL_SECONDS)
        latest = tuple(map(open_files, pids))
        if latest != counts:
            counts, since = latest, time.monotonic()
    return counts


def find_python(argument: str) -> int:
    """The process of a Python interpreter with this argument. Raises RuntimeError."""
    for folder in PROC.iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in words and Path(words[0].decode()).name.startswith("python"):
            return int(folder.name)
    raise RuntimeError(f"no Python process with the argument {argument}")
