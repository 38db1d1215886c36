"""Streams that ssh(1) forwards: each is a connect to a socket of ours, and a channel behind it.

Many streams share the one connection, and a channel that stalls holds up no other (RFC 4254, 5.2).
End-of-file is carried one way at a time; a reset is not. Whether anybody is behind the socket shows
only after the connect: a server that refuses ends the stream. Counterpart:
`desktop/machines/openssh/shell.py` makes the forward.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from desktop.transports.unix import UnixTransport

__all__ = ["OpenSshTransport"]


class OpenSshTransport(UnixTransport):
    """Dials the socket at `path`; `release` ends the forward."""

    name = "openssh"
    most_idle = 16
    """ssh(1) and sshd(8) look at every channel whenever there is news of one: with 500 of them a
    round trip takes three times as long."""

    def __init__(self, path: str, release: Callable[[], Awaitable[None]]) -> None:
        super().__init__(path)
        self._release: Callable[[], Awaitable[None]] | None = release

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        release, self._release = self._release, None
        if release is not None:
            await release()
