"""Runs a test in a network namespace of its own, so that nothing else listens there.

A namespace belongs to a thread: that of the test enters it, and goes back whatever happens. It is
the main thread, whose waits a limit of time can end, which one that only joins another's is not.
Skips where the kernel does not allow it. Objects that look at the network must be made in the body.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec

import pytest

from tests.capabilities import LINUX_KERNEL, require

__all__ = ["private_network"]

CLONE_NEWNET: Final = 0x40000000
"""linux/sched.h."""

SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
"""netdevice(7)."""

_Arguments = ParamSpec("_Arguments")


def private_network(test: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Decorator: the test runs where only its own sockets are, with loopback up."""

    @functools.wraps(test)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        with _elsewhere():
            test(*args, **kwargs)

    return run


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """This thread is in a network of its own."""
    require(LINUX_KERNEL)
    import fcntl

    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            pytest.skip(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            yield
        finally:
            if libc.setns(before, CLONE_NEWNET) != 0:
                pytest.exit(f"no way back from a network: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(before)
