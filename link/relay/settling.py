"""A stream between two flows: here the last one is over, at the other end it may not be.

Rules: a server that has said its end may still have to take what its client said, for as long as it
likes. Only when the other end has all of that does it say WHOLE, and only then may the stream carry
the next flow. Whatever else comes, or its end, ends the stream. Counterpart: `splice.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from link.readiness import Readiness
from link.relay.frames import HEADER, Unframer
from link.stream import Stream
from link.wire import WireError

__all__ = ["Settling", "go_home"]

READ_SIZE: Final = HEADER.size


def go_home(stream: Stream) -> None:
    """Hand a stream that carries no flow to where it belongs."""
    if stream.home is not None:
        stream.home(stream)


class Settling:
    """Waits for WHOLE on a stream that `readiness` watches; `on_end` is told of its end."""

    __slots__ = ("_on_end", "_readiness", "_stream", "_unframer")

    def __init__(
        self,
        stream: Stream,
        unframer: Unframer,
        readiness: Readiness,
        on_end: Callable[[Settling], None],
    ) -> None:
        self._stream = stream
        self._unframer = unframer
        self._readiness = readiness
        self._on_end = on_end
        readiness.watch(stream.fileno(), self._read)

    def close(self) -> None:
        """Give the stream up."""
        self._on_end(self)
        self._readiness.forget(self._stream.fileno())
        self._stream.close()

    def _read(self, _mask: int) -> None:
        try:
            data = self._stream.recv(READ_SIZE)
            self._unframer.feed(memoryview(data))
        except BlockingIOError:
            return
        except (OSError, WireError):
            data = b""
        if not data:
            self.close()
        elif self._unframer.is_whole:
            self._on_end(self)
            go_home(self._stream)
