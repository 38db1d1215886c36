"""Starts the daemon: a process of `samehost up --no-machine`, which ends once the daemon serves.

Rules: one at a time. What it says on standard error is progress; if it fails, the end of that is
the reason. Stopped, it is interrupted, as by Ctrl-C, and takes back what it began. The daemon
itself is no child of ours, and outlives the window.
Counterparts: `desktop/cli/up.py`, `desktop/api/local.py` for the command.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QObject, QProcess, Signal

from desktop.api.local import failure_of
from gui.wire import Problem

__all__ = ["Starter"]

STOP_SECONDS: Final = 7.0
"""What it may take to end the daemon that it has begun to start."""

MOST_LINES: Final = 100
LONGEST_LINE: Final = 4000


class Starter(QObject):
    """See the module. `command` is the program and its arguments."""

    told = Signal(str)
    started = Signal()
    failed = Signal(object)

    def __init__(self, command: Sequence[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = list(command)
        self._process: QProcess | None = None
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._rest = b""

    @property
    def is_running(self) -> bool:
        """It has been started, and has not said how it ended."""
        return self._process is not None

    def start(self) -> None:
        """Start it, unless that is under way. Then comes `started` or `failed`, later."""
        if self._process is not None:
            return
        self._lines.clear()
        self._rest = b""
        process = self._process = QProcess(self)
        process.setProgram(self._command[0])
        process.setArguments(self._command[1:])
        process.setStandardInputFile(QProcess.nullDevice())
        process.setStandardOutputFile(QProcess.nullDevice())
        process.readyReadStandardError.connect(self._read)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._broken)
        process.start()

    def stop(self) -> None:
        """Interrupt it, and wait until it has ended: for the window's own end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.blockSignals(True)
        if process.state() != QProcess.ProcessState.NotRunning:
            _interrupt(process)
            if not process.waitForFinished(round(STOP_SECONDS * 1000)):
                process.kill()
                process.waitForFinished()
        process.deleteLater()

    def _read(self) -> None:
        if self._process is not None:
            self._rest += self._process.readAllStandardError().data()
        *lines, self._rest = self._rest.split(b"\n")
        self._rest = self._rest[-LONGEST_LINE:]
        for line in lines:
            self._say(line)

    def _say(self, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode(errors="replace").rstrip()
        self._lines.append(text)
        if text:
            self.told.emit(text)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        if self._rest:
            self._say(self._rest)
        self._end()
        if status == QProcess.ExitStatus.NormalExit and code == 0:
            self.started.emit()
            return
        crashed = status != QProcess.ExitStatus.NormalExit
        fields = failure_of(-1 if crashed else code, list(self._lines))
        self.failed.emit(Problem(fields["message"], fields["remedy"], fields["code"]))

    def _broken(self, error: QProcess.ProcessError) -> None:
        """All other errors come before `finished`."""
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            reason = self._process.errorString()
            self._end()
            fields = failure_of(-1, [f"samehost: {self._command[0]}: {reason}"])
            self.failed.emit(Problem(fields["message"], fields["remedy"], fields["code"]))

    def _end(self) -> None:
        if self._process is not None:
            self._process.deleteLater()
            self._process = None


def _interrupt(process: QProcess) -> None:
    if os.name == "posix":
        os.kill(process.processId(), signal.SIGINT)
    else:
        process.terminate()
