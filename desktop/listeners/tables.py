"""Listeners from a table that the system gives as a whole, and without a word when it changes.

    read() ─▶ [Entry] ─ not ours ─ old enough ─ named ─▶ [Listener]

What macOS and Windows have in common. Rules: as `source.ListenerSource` says. Sockets have no
inodes there, so ours are known by their process: none of this process is ever listed. UDP sockets
on ports that the system chose count by the rule of `link.maturity`. A name is asked for once for
each socket.

Limits: there is no wake-up descriptor, so the caller polls, at the source's own pace. Mirrors of
another Samehost of the same user are listeners like others.

Counterparts: `macos.py` and `windows.py` read; `linux.py` does not need this.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psutil

from desktop.listeners.source import ListenerSource, Pace
from link.listener import Listener
from link.maturity import Maturity

__all__ = ["Entry", "TableListenerSource", "process_name"]

ANY_PORT: Final = range(1 << 16)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One listener, as a table has it.

    Attributes:
        cookie: what no other socket of the table has.
        pid: the process that has it, 0 if the table does not say.
        is_chosen: True if the system has chosen the port, or may have.
    """

    protocol: str
    address: str
    port: int
    v6only: bool
    cookie: int
    pid: int
    is_chosen: bool


class TableListenerSource(ListenerSource):
    """See the module. `read` gives all listeners and raises OSError; `own` is our process."""

    def __init__(
        self,
        read: Callable[[], list[Entry]],
        pace: Pace,
        *,
        name_of: Callable[[int], str | None] | None = None,
        own: int | None = None,
    ) -> None:
        self.pace = pace
        self._read = read
        self._name_of = name_of or process_name
        self._own = os.getpid() if own is None else own
        self._chosen = Maturity()
        self._known: dict[Entry, Listener] = {}

    def scan(self, exclude: frozenset[int]) -> list[Listener]:  # noqa: ARG002 - see the module
        """See `ListenerSource.scan`. `exclude` names nothing, as no socket has an inode."""
        entries = self._grown([each for each in self._read() if each.pid != self._own])
        self._known = {each: self._known.get(each) or self._listener(each) for each in entries}
        return sorted(self._known.values(), key=_order)

    def _grown(self, entries: list[Entry]) -> list[Entry]:
        chosen = [each for each in entries if each.is_chosen]
        grown = self._chosen.sift(chosen, ANY_PORT, time.monotonic())
        return [each for each in entries if not each.is_chosen] + grown

    def _listener(self, entry: Entry) -> Listener:
        return Listener(
            entry.cookie,
            entry.protocol,
            entry.address,
            entry.port,
            entry.v6only,
            process=self._name_of(entry.pid) if entry.pid else None,
            pid=entry.pid or None,
        )

    def wakeup_fileno(self) -> int | None:
        """See `ListenerSource.wakeup_fileno`: none."""
        return None

    def drain(self) -> bool:
        """See `ListenerSource.drain`."""
        return False

    def close(self) -> None:
        """See `ListenerSource.close`."""
        self._known = {}


def process_name(pid: int) -> str | None:
    """The name of a process; None if it is gone, or hidden from us."""
    try:
        return psutil.Process(pid).name() or None
    except (psutil.Error, OSError) as error:
        _log.debug("no name of process %d: %s", pid, error)
        return None


def _order(listener: Listener) -> tuple[str, int, str, int]:
    return listener.protocol, listener.port, listener.address, listener.id
