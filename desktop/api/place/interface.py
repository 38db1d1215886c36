"""What a place is where clients find the control API.

    path ─▶ open_place ─▶ Place.open(on_client) … on_client(reader, writer) … leave ─▶ wait_closed

Rules: nobody but this user, and the administrator, gets in: `refusal` says who does not, where the
system lets others connect at all. Counterparts: `unix.py`, `pipe.py`; `select.py` chooses,
`../server.py` uses it; `../stream.py` is the other end.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable

from desktop.errors import SamehostError

__all__ = ["OnClient", "Place"]

OnClient = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Place(abc.ABC):
    """One place, from `open` to `wait_closed`."""

    @abc.abstractmethod
    async def open(self, on_client: OnClient, limit: int) -> None:
        """Let clients in; `limit` is of their lines. Raises SamehostError."""

    @property
    @abc.abstractmethod
    def is_in_place(self) -> bool:
        """True while clients find it."""

    @abc.abstractmethod
    def refusal(self, writer: asyncio.StreamWriter) -> SamehostError | None:
        """Why the client is not to be served, by who it is; None if it may be."""

    @abc.abstractmethod
    def leave(self, *, is_replaced: bool = False) -> None:
        """Let nobody in any more; whoever is, stays. `is_replaced`: another one took the place."""

    @abc.abstractmethod
    async def wait_closed(self) -> None:
        """Wait until that is done, and all connections are."""
