"""A pipe from a child process, or to it, which the event loop serves: one file per system.

Rules: not the loop's own pipes: for asyncio a child is over only when its pipes are, and another
process may hold them open. Counterparts: `pipes_posix.py`, `pipes_windows.py`;
`machines/error_reader.py`, `machines/joint_windows.py` and `machines/found/output.py` use them.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from typing import Any, Protocol, cast

__all__ = ["Pipes", "pipes", "read_pipe", "write_pipe"]


class Pipes(Protocol):
    """What each system's module gives."""

    def make(self) -> tuple[Any, int]:
        """The end for `connect_read_pipe`, and a descriptor for the child. Raises OSError."""

    def make_writing(self) -> tuple[Any, int]:
        """The same the other way: the end for `connect_write_pipe`. Raises OSError."""


def pipes(name: str = os.name) -> Pipes:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(Pipes, importlib.import_module(f"desktop.pipes_{kind}"))


async def read_pipe(protocol: asyncio.Protocol) -> tuple[asyncio.BaseTransport, int]:
    """A pipe that `protocol` hears, and the caller's descriptor to write to. Raises OSError."""
    reading, writing = pipes().make()
    try:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, reading)
    except BaseException:
        reading.close()
        os.close(writing)
        raise
    return transport, writing


async def write_pipe(protocol: asyncio.BaseProtocol) -> tuple[asyncio.BaseTransport, int]:
    """A pipe to a child, and the caller's descriptor to read from. Raises OSError."""
    writing, reading = pipes().make_writing()
    try:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(lambda: protocol, writing)
    except BaseException:
        writing.close()
        os.close(reading)
        raise
    return transport, reading
