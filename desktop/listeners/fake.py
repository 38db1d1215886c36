"""Listeners out of thin air, for tests of whoever uses a `ListenerSource`.

Rules: passes the same contract tests as the real sources. What is added, TCP or UDP, counts at
once: the test has decided that it is a listener. The counterpart is the test, which adds and
removes.
"""

from __future__ import annotations

import socket

from desktop.listeners.source import ListenerSource
from link.listener import Listener

__all__ = ["FakeListenerSource"]


class FakeListenerSource(ListenerSource):
    """Lists what was added. `failure`, if set, is raised by the next scans."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        self._listeners: dict[int, Listener] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._closed = False

    def add(self, listener: Listener) -> None:
        """Let a listener appear (or change, by its id)."""
        self._listeners[listener.id] = listener

    def remove(self, listener_id: int) -> None:
        """Let a listener go, which wakes. Raises KeyError for an unknown one."""
        del self._listeners[listener_id]
        try:
            self._writer.send(b"x")
        except BlockingIOError:
            return  # full, hence readable already

    def scan(self, exclude: frozenset[int]) -> list[Listener]:
        """See `ListenerSource.scan`."""
        if self.failure is not None:
            raise self.failure
        found = (each for each in self._listeners.values() if each.inode not in exclude)
        return sorted(found, key=lambda each: (each.protocol, each.port, each.address, each.id))

    def wakeup_fileno(self) -> int | None:
        """See `ListenerSource.wakeup_fileno`."""
        return None if self._closed else self._reader.fileno()

    def drain(self) -> bool:
        """See `ListenerSource.drain`."""
        try:
            return bool(self._reader.recv(1 << 16))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """See `ListenerSource.close`."""
        if not self._closed:
            self._closed = True
            self._reader.close()
            self._writer.close()
