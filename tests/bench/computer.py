"""What a run was made on, for whoever reads its figures."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

__all__ = ["computer", "processor"]


def computer() -> dict[str, str]:
    """Names and values; all of them words."""
    release = platform.freedesktop_os_release()
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": release.get("PRETTY_NAME", "unknown"),
        "Python": platform.python_version(),
    }


def processor(cpuinfo: str) -> str:
    """Its name, which not all processors tell (proc_cpuinfo(5))."""
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return name[1].strip() if name else "unknown"
