"""Opens the cgroup v2 tree, also where nobody has mounted it.

The kernel has that tree on every machine, and each socket belongs to a cgroup in it: on a machine
that uses version 1 only, all to its root. There it is mounted for the caller alone and in no
place (fsopen, fsmount; since Linux 5.2), so nothing is left behind.

Limits: shows the tree from the root of the caller's cgroup namespace on, not above it. In the
machine's own namespace this sets the options of every mount of the tree to none (cgroups(7):
`nsdelegate`, `memory_recursiveprot`), so whoever knows a mount must give its path.

Counterpart: `events` attaches programs to what this opens.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from vmagent.bpf.system import BpfError, system_call

__all__ = ["open_cgroup"]

FSOPEN: Final = 430
FSCONFIG: Final = 431
FSMOUNT: Final = 432
"""Numbers of the calls, the same on x86-64 and ARM."""

FSOPEN_CLOEXEC: Final = 1
FSMOUNT_CLOEXEC: Final = 1
FSCONFIG_CMD_CREATE: Final = 6
"""linux/mount.h."""

NONE: Final = ctypes.c_uint(0)


def open_cgroup(path: str | None) -> int:
    """A descriptor of the cgroup at `path`; without one, of the root of the tree.

    Raises OSError; the kernel tells only later if `path` is in no cgroup file system.
    """
    if path is not None:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        context = system_call(FSOPEN, b"cgroup2", ctypes.c_uint(FSOPEN_CLOEXEC))
        try:
            command = ctypes.c_uint(FSCONFIG_CMD_CREATE)
            system_call(FSCONFIG, ctypes.c_int(context), command, None, None, NONE)
            flags = ctypes.c_uint(FSMOUNT_CLOEXEC)
            return system_call(FSMOUNT, ctypes.c_int(context), flags, NONE)
        finally:
            os.close(context)
    except BpfError as error:
        words = f"cgroup v2 is not mounted and cannot be: {error.strerror}"
        raise BpfError(error.errno, words) from error
