"""What macOS lets the daemon have: as many files as the kernel gives one process of this user.

Source: setrlimit(2) of macOS, whose hard limit is "unlimited" while the kernel gives no more than
its variable kern.maxfilesperproc (XNU bsd/kern/kern_resource.c, dosetrlimit); launchctl(1), limit.
Ports below 1024: docs/platforms.md.

Limits: what another process may open is not told: a daemon is taken to have what one that is
started now would get. Has never run on a Mac. Counterparts: `limits.py`;
`desktop/daemon/files_posix.py`, `desktop/sockets/macos.py`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, Final

from desktop.doctor.limits import REMAP, Port
from desktop.doctor.verdict import Verdict, error, note, ok, warning
from desktop.mirror.systems import MACOS

__all__ = ["judge_files", "judge_ports", "most_files"]

MOST_FILES: Final = "kern.maxfilesperproc"
"""sysctl(3)."""
FIRST_FREE_PORT: Final = 1024
"""IPPORT_RESERVED, XNU bsd/netinet/in.h."""


def judge_files(pid: int, most: Callable[[], int] | None = None) -> Verdict:
    """See `limits.Limits.judge_files`."""
    from desktop.daemon.files import ENOUGH_FILES, RESERVED_FILES

    limit = (most or most_files)()
    remedy = f"{MACOS.more_files(ENOUGH_FILES)}, then samehost down and samehost up"
    opened = _opened(pid) if pid else 0
    words = f"a daemon could open {limit} files" + (f", {opened} are open" if opened else "")
    if opened + RESERVED_FILES >= limit:
        return error(f"{words}: no mirror or connection can be added", remedy)
    if limit < ENOUGH_FILES:
        return warning(f"{words}: enough for about {limit // 2} connections", remedy)
    return ok(words)


def most_files(read: Callable[[str], bytes] | None = None) -> int:
    """How many files a process of this user can get. Raises OSError."""
    from desktop.listeners.macos import sysctl

    resource = importlib.import_module("resource")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    kernels = int.from_bytes((read or sysctl)(MOST_FILES), "little")
    return kernels if hard == resource.RLIM_INFINITY else min(int(hard), kernels)


def _opened(pid: int) -> int:
    """How many there are; 0 where we may not look."""
    psutil: Any = importlib.import_module("psutil")
    try:
        return int(psutil.Process(pid).num_fds())
    except psutil.Error:
        return 0


def judge_ports(pid: int, denied: list[Port]) -> Verdict:  # noqa: ARG001 - as everywhere
    """See `limits.Limits.judge_ports`."""
    if os.geteuid() == 0:
        return ok("every port can be opened: the daemon has the privilege")
    wanted = sorted({port for _, port in denied if port < FIRST_FREE_PORT})
    words = f"ports below {FIRST_FREE_PORT} can be opened on all addresses, not on one alone"
    remedy = f"let the container listen on 0.0.0.0, or {REMAP}"
    if wanted:
        return warning(f"{words}, and are wanted: {', '.join(map(str, wanted))}", remedy)
    return note(f"{words}: mirrors of loopback stand on all, and turn others away", REMAP)
