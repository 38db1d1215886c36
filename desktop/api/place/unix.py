"""The control API's place on Linux and macOS: a Unix socket in a folder of our own.

Counterparts: `interface.py`; `../socketfile.py` makes it.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from desktop.api.peers import peer_of
from desktop.api.place.interface import OnClient, Place
from desktop.api.socketfile import bind, is_same, unlink_if_same
from desktop.errors import PermissionDeniedError, SamehostError

__all__ = ["UnixPlace"]


class UnixPlace(Place):
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._server: asyncio.Server | None = None

    async def open(self, on_client: OnClient, limit: int) -> None:
        """See `Place.open`."""
        sock = bind(self._path)
        self._inode = os.lstat(self._path).st_ino
        self._server = await asyncio.start_unix_server(on_client, sock=sock, limit=limit)

    @property
    def is_in_place(self) -> bool:
        """See `Place.is_in_place`."""
        return self._server is not None and is_same(self._path, self._inode)

    def refusal(self, writer: asyncio.StreamWriter) -> SamehostError | None:
        """See `Place.refusal`."""
        try:
            uid = peer_of(writer.get_extra_info("socket")).uid
        except OSError as error:
            return PermissionDeniedError(f"nobody knows who you are: {error}", "connect again")
        if uid in (0, os.geteuid()):
            return None
        return PermissionDeniedError(
            "this Samehost belongs to another user", "run as that user, or start your own"
        )

    def leave(self, *, is_replaced: bool = False) -> None:
        """See `Place.leave`."""
        if not is_replaced:
            unlink_if_same(self._path, self._inode)
        if self._server is not None:
            self._server.close()

    async def wait_closed(self) -> None:
        """See `Place.wait_closed`."""
        if self._server is not None:
            await self._server.wait_closed()
