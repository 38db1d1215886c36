"""What joins a program to the one socket by which it is spoken to. One file per system.

    stream ⇄ Joint ⇄ the program's standard input and output

Rules: end-of-file goes either way by itself, as on a socket. `started` once the program has its
ends, `aclose` once it has ended; what nobody has read of `stream` by then is lost. Counterparts:
`joint_posix.py`, `joint_windows.py`; `process.py` uses it.
"""

from __future__ import annotations

import abc
import importlib
import os
import socket
from typing import cast

__all__ = ["Joint", "make_joint"]


class Joint(abc.ABC):
    """See the module.

    Attributes:
        stream: our end: a connected, non-blocking stream socket.
        input: the descriptor that the program gets as its standard input.
        output: the same for its standard output.
    """

    stream: socket.socket
    input: int
    output: int

    @abc.abstractmethod
    def started(self) -> None:
        """The program has its ends: they are its alone."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Free all of it, whether a program has had it or not. May be called twice."""


async def make_joint(name: str = os.name) -> Joint:
    """One for a system, by `os.name`. Raises OSError."""
    kind = "windows" if name == "nt" else "posix"
    module = importlib.import_module(f"desktop.machines.joint_{kind}")
    return cast(Joint, await module.make())
