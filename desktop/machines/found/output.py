"""What a program prints, read as it comes and no more of it than there is use for.

A program's children may hold the pipes open for ever. Counterparts: `tools.py`; `desktop/pipes.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final, Self

from desktop.pipes import read_pipe

__all__ = ["Kept", "Lines", "Output"]

LONGEST_LINE: Final = 4096
"""Bytes of a line of progress; what is longer is told in parts."""


class Output(asyncio.Protocol):
    """A pipe. An asynchronous context manager, which frees it.

    Attributes:
        writing: the descriptor that the program gets; close it with `close_writing` once it has.
        ended: set once nobody can write any more.
    """

    def __init__(self) -> None:
        self.writing = -1
        self.ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    async def __aenter__(self) -> Self:
        self._transport, self.writing = await read_pipe(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close_writing()
        self.stop()

    def close_writing(self) -> None:
        """Leave the writing end to the program. May be called twice."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def stop(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        self.ended.set()
        return None

    def connection_lost(self, _error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.ended.set()


class Kept(Output):
    """Output that is kept, up to `most` bytes.

    What is more is read and dropped; or, if there is `on_over`, that is called, `is_over` says so
    and nothing more is read.
    """

    def __init__(self, most: int, on_over: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.data = bytearray()
        self.is_over = False
        self._most = most
        self._on_over = on_over

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.data += data[: self._most - len(self.data)]
        if len(self.data) == self._most and self._on_over is not None and not self.is_over:
            self.is_over = True
            self.stop()
            self._on_over()


class Lines(Output):
    """Output of which each line is told as it comes, and the last one kept as `last`."""

    def __init__(self, tell: Callable[[bytes], str]) -> None:
        super().__init__()
        self.last = ""
        self._tell = tell
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        # Programs that draw on a terminal end a line by going back to its beginning.
        *whole, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        for line in whole:
            self._told(line)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._told(self._rest)
        self._rest = b""
        super().connection_lost(error)

    def _told(self, line: bytes) -> None:
        if line.strip():
            self.last = self._tell(line) or self.last
