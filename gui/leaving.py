"""Leaving cleanly: on Ctrl-C and other signals, and when the session of the desktop ends.

Rules: a signal wakes the event loop by a socket (`signal.set_wakeup_fd`), so there is no timer that
wakes up to look. Python's own handler does nothing: what is to be done is done in the loop.
"""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import Final

from PySide6.QtCore import QObject, QSocketNotifier, Signal

__all__ = ["Signals"]

NUMBERS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Signals(QObject):
    """Emits `came` with the number of a signal that asks the process to end."""

    came = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ours, self._pythons = socket.socketpair()
        for end in (self._ours, self._pythons):
            end.setblocking(False)
        self._before = {number: signal.signal(number, _do_nothing) for number in NUMBERS}
        self._wakeup_before = signal.set_wakeup_fd(
            self._pythons.fileno(), warn_on_full_buffer=False
        )
        self._notifier = QSocketNotifier(self._ours.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._read)

    def close(self) -> None:
        """Signals do again what they did before."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._wakeup_before)
        for number, before in self._before.items():
            signal.signal(number, before)
        self._ours.close()
        self._pythons.close()

    def _read(self) -> None:
        for number in self._ours.recv(4096):
            if number in NUMBERS:
                self.came.emit(number)


def _do_nothing(_: int, __: FrameType | None) -> None:
    """A handler of Python's must be there, or the system's own way is taken."""
