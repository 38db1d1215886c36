"""Where clients find the control API: a Unix socket, or a named pipe. One file per system.

    path ─▶ open_place ─▶ Place.open(on_client) … on_client(reader, writer) … leave ─▶ wait_closed

Rules: nobody but this user, and the administrator, gets in: `refusal` says who does not, where the
system lets others connect at all. Counterparts: `place_unix.py`, `place_pipe.py`; `server.py` uses
them; `stream.py` is the other end.
"""

from __future__ import annotations

import abc
import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from desktop.errors import SamehostError

__all__ = ["OnClient", "Place", "open_place"]

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


def open_place(path: Path, name: str = os.name) -> Place:
    """The place of a path, by `os.name`."""
    if name == "nt":
        from desktop.api.place_pipe import PipePlace

        return PipePlace(path)
    from desktop.api.place_unix import UnixPlace

    return UnixPlace(path)
