"""Streams in the standard input and output of the agent, which is all that some machines offer.

`docker exec -i`, `wsl.exe --exec` and a log-in's channel each give one pipe; `link/mux` makes many
streams of it. Counterpart: `vmagent/doors/stdio.py`.

Limits: a reset of a stream is seen as its end. When the pipe ends, so does every stream.
"""

from __future__ import annotations

import logging
import socket
from typing import Protocol

from desktop.transports.transport import Transport, TransportError
from link.mux.pipe import SocketPipe
from link.mux.pump import MuxPump
from link.mux.session import StreamLimitError
from link.mux.signals import open_signals

__all__ = ["HasStream", "StdioTransport"]

log = logging.getLogger(__name__)


class HasStream(Protocol):
    """What is needed of a process: `desktop.machines.process.Process` is one."""

    stream: socket.socket


class StdioTransport(Transport):
    """Streams in `process.stream`, of which nobody else reads or writes a byte from now on.

    Make it in the running loop, once the agent has answered.
    """

    name = "stdio"
    carries_reset = False

    def __init__(self, process: HasStream) -> None:
        self._reason = ""
        self._pump = MuxPump(
            SocketPipe(process.stream.dup()),  # the process is freed when it ends, this when read
            open_signals(),
            opens=True,
            on_stream=lambda stream: stream.close(),
            on_end=self._ended,
        )

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        if self._reason:
            raise TransportError(f"the agent's standard output: {self._reason}")
        try:
            return self._pump.open()
        except (OSError, StreamLimitError) as error:
            raise TransportError(f"no stream to the agent: {error}") from error

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._reason = self._reason or "closed"
        self._pump.finish()

    def _ended(self, reason: str) -> None:
        log.info("the streams in the agent's standard input and output ended: %s", reason)
        self._reason = self._reason or reason
