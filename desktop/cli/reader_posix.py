"""Who reads our output, on Linux and macOS: poll(2) says when the other end has gone.

Rules: POLLHUP and POLLERR are told unasked on Linux; macOS watches what is asked for only. Limits:
has not run on macOS. Counterpart: `reader.py`.
"""

from __future__ import annotations

import errno
import select
import socket
from typing import Final, cast

from desktop.api.stream import Stream

__all__ = ["wait"]

GONE: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL


def wait(output: int, stream: Stream | None, seconds: float | None) -> None:
    """See `reader.ReaderSystem.wait`."""
    poll = select.poll()
    poll.register(output, select.POLLHUP | select.POLLERR)
    if stream is not None:
        poll.register(cast(socket.socket, stream), select.POLLIN)
    milliseconds = None if seconds is None else seconds * 1000
    if any(each == output and told & GONE for each, told in poll.poll(milliseconds)):
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")
