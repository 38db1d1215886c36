"""What Linux lets the daemon have: /proc tells it of every process.

Counterparts: `limits.py`; `desktop/daemon/files.py` raises the limit at the daemon's start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from desktop.doctor.limits import REMAP, Port
from desktop.doctor.verdict import Verdict, error, note, ok, skipped, warning
from desktop.mirror.systems import LINUX

__all__ = ["judge_files", "judge_ports"]

PROC: Final = Path("/proc")
UNLIMITED: Final = "unlimited"
LIMIT_LINE: Final = "Max open files"
UNPRIVILEGED_PORTS: Final = "sys/net/ipv4/ip_unprivileged_port_start"
FIRST_USUAL_PORT: Final = 1024
NET_BIND_SERVICE: Final = 1 << 10
"""Bit of CAP_NET_BIND_SERVICE (linux/capability.h)."""


def judge_files(pid: int, proc: Path = PROC) -> Verdict:
    """See `limits.Limits.judge_files`."""
    from desktop.daemon.files import ENOUGH_FILES, RESERVED_FILES

    if not proc.is_dir():
        return skipped("this system does not tell")
    remedy = f"{LINUX.more_files(ENOUGH_FILES)}, then samehost down and samehost up"
    soft, hard = _file_limits(proc / (str(pid) if pid else "self") / "limits")
    if not pid:
        words = f"a daemon could open {_count(hard)} files"
        return ok(words) if hard >= ENOUGH_FILES or os.geteuid() == 0 else warning(words, remedy)
    opened = _open_files(proc / str(pid) / "fd")
    words = f"the daemon may open {_count(soft)} files" + (f", {opened} are open" if opened else "")
    if opened + RESERVED_FILES >= soft:
        return error(f"{words}: no mirror or connection can be added", remedy)
    if soft < ENOUGH_FILES:
        return warning(f"{words}: enough for about {int(soft) // 2} connections", remedy)
    return ok(words)


def _file_limits(path: Path) -> tuple[float, float]:
    """(soft, hard) of a process (proc(5)). Raises OSError."""
    line = next(
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(LIMIT_LINE)
    )
    soft, hard = (
        float("inf") if word == UNLIMITED else float(word)
        for word in line.removeprefix(LIMIT_LINE).split()[:2]
    )
    return soft, hard


def _open_files(folder: Path) -> int:
    """How many there are; 0 where we may not look."""
    try:
        return len(os.listdir(folder))
    except PermissionError:
        return 0


def _count(limit: float) -> str:
    return UNLIMITED if limit == float("inf") else str(int(limit))


def judge_ports(pid: int, denied: list[Port], proc: Path = PROC) -> Verdict:
    """See `limits.Limits.judge_ports`."""
    try:
        start = int((proc / UNPRIVILEGED_PORTS).read_text())
    except FileNotFoundError:
        return skipped("this system does not tell")
    if _may_open_all(proc / (str(pid) if pid else "self") / "status"):
        return ok("every port can be opened: the daemon has the privilege")
    if start <= 1:
        return ok(f"every port can be opened (ip_unprivileged_port_start is {start})")
    wanted = sorted({port for _, port in denied if port < start})
    lowest = min(wanted, default=80)
    remedy = (
        f"sudo sysctl net.ipv4.ip_unprivileged_port_start={lowest}, for good in /etc/sysctl.d/;"
        f" or {REMAP}"
    )
    words = f"ports below {start} cannot be opened by this user"
    if wanted:
        return warning(f"{words}, and are wanted: {', '.join(map(str, wanted))}", remedy)
    return note(words, remedy) if start >= FIRST_USUAL_PORT else ok(words)


def _may_open_all(path: Path) -> bool:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & NET_BIND_SERVICE)
    return False
