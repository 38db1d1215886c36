"""What every door is: opened as the desktop's order says, and told in the agent's answer.

Rules: a door that is open takes no stream before `begin`, which comes after the answer. Whatever
the kind, the end of standard input is the end of the agent. Whoever comes in is still a stranger:
`vmagent/door.py` authenticates. Counterparts: `select.py` opens; `desktop/machines/doors.py` has
the same words.
"""

from __future__ import annotations

import abc
import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Admit", "Entrance", "Finish", "watch_input"]

Admit = Callable[[socket.socket], None]
"""Takes a new stream, and owns it."""
Finish = Callable[[str], None]
"""Ends the agent, for a reason."""

UNREAD: Final = 1 << 16
"""Bytes of standard input that are read at once, and dropped."""


class Entrance(abc.ABC):
    """One door, open."""

    carries_reset: bool = True
    """False where a reset of a stream is seen as its end."""
    capabilities: tuple[int, ...] = ()
    """What `close` needs beyond what the agent keeps anyway."""

    @property
    @abc.abstractmethod
    def answer(self) -> dict[str, Any]:
        """How the desktop is told of it: {"kind", …}."""

    @abc.abstractmethod
    def begin(self, admit: Admit, finish: Finish) -> None:
        """Take streams from now on, and `finish` when standard input ends."""

    @abc.abstractmethod
    def close(self) -> None:
        """Take no more streams and leave nothing; those taken live on. May be called twice."""


def watch_input(finish: Finish) -> None:
    """Call `finish` when standard input ends; what it says is dropped."""
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, UNREAD):
            loop.remove_reader(descriptor)
            finish("the desktop's daemon ended")

    loop.add_reader(descriptor, read)
