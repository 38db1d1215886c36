"""What Windows lets the daemon have: files without limit, and every port that it does not keep.

Source: learn.microsoft.com, "Pushing the Limits of Windows: Handles" (16 million a process, by
memory); `netsh interface ipv4 show excludedportrange`, as docs/platforms.md has it.

Limits: has run under Wine only, whose netsh shows nothing. Counterparts: `limits.py`;
`desktop/daemon/host_system.py`, `desktop/mirror/failures.py`, which says of each row what frees it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from desktop.daemon.host_system import show_excluded
from desktop.doctor.limits import REMAP, Port
from desktop.doctor.verdict import Verdict, ok, skipped, warning
from desktop.mirror.systems import ExcludedRange, parse_excluded

__all__ = ["judge_files", "judge_ports"]


def judge_files(pid: int) -> Verdict:
    """See `limits.Limits.judge_files`."""
    count = _handles(pid) if pid else 0
    opened = f", and the daemon has {count} handles open" if count else ""
    return ok(f"Windows sets no limit{opened}")


def _handles(pid: int) -> int:
    """How many there are; 0 where we may not look."""
    psutil: Any = importlib.import_module("psutil")
    try:
        return int(psutil.Process(pid).num_handles())
    except psutil.Error:
        return 0


def judge_ports(
    pid: int,  # noqa: ARG001 - as everywhere
    denied: list[Port],
    show: Callable[[str], str] = show_excluded,
) -> Verdict:
    """See `limits.Limits.judge_ports`."""
    try:
        kept = {protocol: parse_excluded(show(protocol)) for protocol in ("tcp", "udp")}
    except OSError as reason:
        return skipped(f"which ports Windows keeps for itself is not told: {reason}")
    words = "every port can be opened that Windows does not keep for itself: " + ", ".join(
        f"{len(ranges)} ranges of {protocol.upper()}" for protocol, ranges in kept.items()
    )
    if not denied:
        return ok(words)
    wanted = ", ".join(
        f"{protocol} {port}{_within(port, kept[protocol])}" for protocol, port in denied
    )
    return warning(
        f"{words}; denied, and wanted: {wanted}",
        f"samehost ports has for each what frees it; or {REMAP}",
    )


def _within(port: int, ranges: list[ExcludedRange]) -> str:
    around = next((each for each in ranges if each.first <= port <= each.last), None)
    return f" (in {around.first} to {around.last})" if around else " (in none of them)"
