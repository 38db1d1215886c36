"""The word that a UDP server is gone waits for what it has said last; all else is told at once.

    Watcher ─▶ changed(added, removed) ─▶ tell, at once
                       └─ servers with clients ─▶ LAST_WORDS_SECONDS ─▶ read what they said ─▶ tell

Rules: the desktop closes the mirror on that word, and replies need its port. A server that is back
meanwhile never went. Counterparts: `agent` tells, `link.datagrams.back` has what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from link.listener import Listener

__all__ = ["LAST_WORDS_SECONDS", "Conversation", "LastWords"]

LAST_WORDS_SECONDS: Final = 0.01
"""The kernel may deliver a datagram after the socket that sent it was closed."""


class Conversation(Protocol):
    """What is asked of a `Back`."""

    @property
    def count(self) -> int:
        """Its clients."""

    def drain(self) -> None:
        """Send on, now, what servers have said."""


class LastWords:
    """Between the watcher and the desktop.

    Args:
        conversations: gives those that there are now, each with the server's port.
        tell: told what was added, and the ids of what is gone.
    """

    def __init__(
        self,
        conversations: Callable[[], Iterable[tuple[Conversation, int]]],
        tell: Callable[[Sequence[Listener], Sequence[int]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._conversations = conversations
        self._tell = tell
        self._ports: dict[int, int] = {}
        self._parting: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, added: Sequence[Listener], removed: Sequence[int]) -> None:
        """The watcher's news."""
        for each in added:
            self._parting.pop(each.id, None)
            if each.protocol == "udp":
                self._ports[each.id] = each.port
        spoken_to = {port for each, port in self._conversations() if each.count}
        gone = []
        for identity in removed:
            port = self._ports.pop(identity, 0)
            if port in spoken_to:
                self._parting[identity] = port
            else:
                gone.append(identity)
        if added or gone:
            self._tell(added, gone)
        if self._parting and self._timer is None:
            self._timer = self._loop.call_later(LAST_WORDS_SECONDS, self._part)

    def forget(self, listeners: Iterable[Listener]) -> None:
        """The desktop is told all there is, and so all that is gone: it is these listeners."""
        self._parting.clear()
        self._ports = {each.id: each.port for each in listeners if each.protocol == "udp"}

    def close(self) -> None:
        """Tell nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _part(self) -> None:
        self._timer = None
        parting, self._parting = self._parting, {}
        ports = set(parting.values())
        for each in [each for each, port in self._conversations() if port in ports]:
            each.drain()
        if parting:
            self._tell((), tuple(parting))
