"""Who reads our output, on Linux and macOS: poll(2) says when the other end has gone.

Rules: POLLHUP and POLLERR are told unasked on Linux; macOS watches what is asked for only. A signal
that comes as the wait begins, when Python has looked for signals and poll(2) does not sleep yet,
ends it as well: else Ctrl-C would be heard with the next change only. Limits: has not run on macOS.
Counterpart: `reader.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Final, cast

from desktop.api.stream import Stream

__all__ = ["wait"]

GONE: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL
MOST_SIGNALS: Final = 1 << 12


def wait(output: int, stream: Stream | None, seconds: float | None) -> None:
    """See `reader.ReaderSystem.wait`."""
    poll = select.poll()
    poll.register(output, select.POLLHUP | select.POLLERR)
    if stream is not None:
        poll.register(cast(socket.socket, stream), select.POLLIN)
    milliseconds = None if seconds is None else seconds * 1000
    with _told_of_signals() as signals:
        poll.register(signals, select.POLLIN)
        while True:
            told = dict(poll.poll(milliseconds))
            if told.get(output, 0) & GONE:
                raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")
            if told.keys() != {signals}:
                return
            os.read(signals, MOST_SIGNALS)  # its handler has let us go on


@contextlib.contextmanager
def _told_of_signals() -> Iterator[int]:
    """A descriptor that can be read once a signal has come; other threads are told of none."""
    reading, writing = os.pipe()
    try:
        if threading.current_thread() is not threading.main_thread():
            yield reading
            return
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reading)
        os.close(writing)
