"""The one interface of this room: open a byte stream to the agent.

Guarantees, proven for every transport by `tests/contract/test_transports.py`: a stream is a
connected, non-blocking kernel stream socket; bytes arrive in order and whole; end-of-file,
close and, where `carries_reset`, reset (SO_LINGER with time 0) are three different things at the
other end; streams do not block one another.
"""

from __future__ import annotations

import abc
import socket

__all__ = ["Transport", "TransportError", "WayGoneError"]


class TransportError(Exception):
    """The agent could not be reached: nobody there, refused, or timed out."""


class WayGoneError(TransportError):
    """The transport will open no stream any more, however often it is asked."""


class Transport(abc.ABC):
    """Opens streams to one agent.

    Attributes:
        name: of the way, as `status` shows it.
        carries_reset: False where a reset of a stream is seen as its end at the other, so that a
            flow's own has to be told in the stream.
        most_idle: streams without a flow that are kept, per direction; fewer where they slow down
            those with one.
        limits: what a person should know of the way, "" for nothing.
    """

    name: str
    carries_reset: bool = True
    most_idle: int = 256
    limits: str = ""

    @abc.abstractmethod
    async def open(self) -> socket.socket:
        """A new stream. Raises TransportError, WayGoneError. Cancelled, it leaves no socket."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Free what the transport holds; streams already opened live on. May be called twice."""
