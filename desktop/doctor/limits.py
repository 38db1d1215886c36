"""Checks of what the system lets the daemon have: open files, and ports. One file per system.

    check ─▶ Limits.judge_files(pid) / judge_ports(pid, denied) ─▶ Verdict

Rules: nothing is tried out: what the system tells is judged. Counterparts: `limits_linux.py`,
`limits_macos.py`, `limits_windows.py`; `desktop/daemon/files.py`, `desktop/mirror/systems.py`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final, Protocol, cast

from desktop.doctor.blocking import in_thread
from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict

__all__ = ["REMAP", "Limits", "Port", "check_files_limit", "check_privileged_ports", "limits"]

REMAP: Final = "remap the port: samehost settings set remap '{\"tcp:80\": 8080}'"

Port = tuple[str, int]
"""Protocol and number."""

_KINDS: Final = {"darwin": "macos", "win32": "windows"}


class Limits(Protocol):
    """What each system's module gives. A pid of 0 is a daemon that this user would start now."""

    def judge_files(self, pid: int) -> Verdict:
        """How many files a process may open, and has. Raises OSError."""

    def judge_ports(self, pid: int, denied: list[Port]) -> Verdict:
        """Which ports a process may open; `denied` are wanted and were not. Raises OSError."""


def limits(platform: str = sys.platform) -> Limits:
    """The module for a system."""
    kind = _KINDS.get(platform, "linux")
    return cast(Limits, importlib.import_module(f"desktop.doctor.limits_{kind}"))


async def check_files_limit(patient: Patient) -> Verdict:
    """The daemon may open enough files."""
    pid = await patient.daemon_pid()
    return await in_thread(lambda: limits().judge_files(pid))


async def check_privileged_ports(patient: Patient) -> Verdict:
    """Ports below 1024 can be opened here, and those that the system may keep."""
    try:
        rows = await patient.rows()
    except NotSeenError:
        rows = []
    here = [row for row in rows if row["origin"] == "machine"]  # others' mirrors stand there
    denied = {(row["protocol"], row["host_port"]) for row in here if row["state"] == "denied"}
    pid = await patient.daemon_pid()
    return await in_thread(lambda: limits().judge_ports(pid, sorted(denied)))
