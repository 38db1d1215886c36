"""Runs a test in a network namespace of its own, so that nothing else listens there.

A namespace belongs to a thread: the test's body runs in a new one, which leaves nothing behind.
Skips where the kernel does not allow it. Objects that look at the network must be made in the body.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec

import pytest

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
        def body() -> None:
            _enter()
            test(*args, **kwargs)

        with ThreadPoolExecutor(1) as executor:
            executor.submit(body).result()

    return run


def _enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        pytest.skip(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
