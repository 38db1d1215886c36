"""Counts the system calls of a thread, by the kernel's own tracepoint (perf_event_open(2)).

Rules: exact, and of that thread alone: others may do what they like meanwhile. Waits for a lock
(futex(2)) are left out: in a process with several threads each waits for Python's own lock, and how
often is the scheduler's choice (two times a connection, or seventeen under SCHED_RR). Skips where
the kernel does not let us: it takes root, and a kernel with the tracepoint
`raw_syscalls:sys_enter`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import platform
import struct
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

__all__ = ["Count", "counted"]

NUMBERS: Final = {"x86_64": (298, 202), "aarch64": (241, 98)}
"""Of perf_event_open and futex: syscall_64.tbl, asm-generic/unistd.h."""
PERF_TYPE_TRACEPOINT: Final = 2
PERF_ATTR_SIZE_VER0: Final = 64
"""linux/perf_event.h; all after the first three fields may be 0: count, from now on."""
PERF_FLAG_FD_CLOEXEC: Final = 8
PERF_EVENT_IOC_SET_FILTER: Final = 0x4008_2406
TRACEPOINT: Final = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"


class Count:
    """System calls so far, but for waits for locks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def calls(self) -> int:
        """Those of the thread since the count began; to read it is one of them."""
        return int(struct.unpack("Q", os.read(self._descriptor, 8))[0])


@contextlib.contextmanager
def counted(thread: int = 0) -> Iterator[Count]:
    """Count the calls of a thread, by its native id; 0 is the calling one."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("IIQ", PERF_TYPE_TRACEPOINT, PERF_ATTR_SIZE_VER0, _tracepoint())
    if platform.machine() not in NUMBERS:
        pytest.skip(f"perf_event_open has a number on {platform.machine()} that is not known here")
    number, futex = NUMBERS[platform.machine()]
    descriptor = libc.syscall(
        number, attributes.ljust(PERF_ATTR_SIZE_VER0, b"\0"), thread, -1, -1, PERF_FLAG_FD_CLOEXEC
    )
    if descriptor < 0:
        pytest.skip(f"system calls cannot be counted: {os.strerror(ctypes.get_errno())}")
    try:
        fcntl.ioctl(descriptor, PERF_EVENT_IOC_SET_FILTER, f"id != {futex}\0".encode())
        yield Count(descriptor)
    finally:
        os.close(descriptor)


@functools.cache
def _tracepoint() -> int:
    """The number of the tracepoint; where no tracefs is mounted, from one that nobody else sees."""
    mount = "mount -t tracefs none /sys/kernel/tracing"
    script = f"test -e {TRACEPOINT} || {mount} && cat {TRACEPOINT}"
    command = ["unshare", "--mount", "sh", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"system calls cannot be counted: {result.stderr.strip()}")
    return int(result.stdout)
