"""A program that the window runs: its lines as they come, how it ended, and its end before that.

Rules: one at a time. Standard error is progress, of which the last lines are kept; standard output
is kept up to `MOST_OUTPUT`, or goes nowhere. It may print anything and hang: given up it is
interrupted, as by Ctrl-C, so that it takes back what it began, and killed if it does not end. None
outlives its owner.
Counterparts: `starting.py`, `machine/examination.py`; `desktop.api.local.failure_of`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from desktop.api.local import failure_of
from gui.wire import Problem

__all__ = ["Child"]

MOST_OUTPUT: Final = 1 << 20
MOST_LINES: Final = 100
LONGEST_LINE: Final = 4000


class Child(QObject):
    """See the module. Whoever derives from it says in `_ended` what the end means.

    Signals:
        told: a line of progress.
        failed: a `Problem`. Nothing comes any more once it was given up.
    """

    told = Signal(str)
    failed = Signal(object)

    def __init__(
        self, patience_ms: int, parent: QObject | None = None, *, keeps_output: bool = False
    ) -> None:
        super().__init__(parent)
        self._patience_ms = patience_ms
        self._keeps_output = keeps_output
        self._process: QProcess | None = None
        self._alive: set[QProcess] = set()
        self.destroyed.connect(partial(_end_all, self._alive, patience_ms))
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.end_now)
        self._output = bytearray()
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    @property
    def is_running(self) -> bool:
        """It has been started, and has not said how it ended."""
        return self._process is not None

    def run(self, command: Sequence[str]) -> None:
        """Run this, instead of what runs now."""
        self.stop()
        self._output.clear()
        self._rest = b""
        self._lines.clear()
        process = self._process = QProcess(self)
        self._alive.add(process)
        process.setProgram(command[0])
        process.setArguments(list(command[1:]))
        process.setStandardInputFile(QProcess.nullDevice())
        if os.name == "posix":  # else it ignores being interrupted where we do, run by a script
            process.setUnixProcessParameters(QProcess.UnixProcessFlag.ResetSignalHandlers)
        if not self._keeps_output:
            process.setStandardOutputFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(self._read_output)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._broken)
        process.start()

    def stop(self) -> None:
        """Have it end, soon; nothing more is told."""
        process, self._process = self._process, None
        if process is None:
            return
        for signal_ in (process.readyReadStandardOutput, process.readyReadStandardError):
            signal_.disconnect()
        process.finished.disconnect()
        process.errorOccurred.disconnect()
        if process.state() == QProcess.ProcessState.NotRunning:
            self._gone(process)
            return
        process.finished.connect(self._clear)
        _interrupt(process)
        patience = QTimer(process, singleShot=True, interval=self._patience_ms)
        patience.timeout.connect(process.kill)
        patience.start()

    def end_now(self) -> None:
        """The same, and wait for it: the program ends, and its widgets are not destroyed then."""
        process, self._process = self._process, None
        _end_all(self._alive, self._patience_ms)
        if process is not None:
            process.deleteLater()

    def _ended(self, code: int) -> None:
        """It has ended: with this code, or -1 if not by itself."""
        raise NotImplementedError

    def _not_started(self, reason: str) -> None:
        """It cannot even begin."""
        raise NotImplementedError

    def _fail(self, code: int, lines: Sequence[str]) -> None:
        """Say why, as the lines of a verb of `samehost` do."""
        fields = failure_of(code, lines)
        self.failed.emit(Problem(fields["message"], fields["remedy"], fields["code"]))

    def _too_much(self) -> None:
        """It has printed more than anybody reads, and was stopped."""

    def _clear(self, *_: object) -> None:
        """What was given up has ended.

        No closure that holds us is connected to a process of ours: as the last one that holds us,
        it would destroy us, and the process with us, while the process is being destroyed.
        """
        for process in [each for each in self._alive if each is not self._process]:
            if process.state() == QProcess.ProcessState.NotRunning:
                self._gone(process)

    def _gone(self, process: QProcess) -> None:
        self._alive.discard(process)
        process.deleteLater()

    def _read_output(self) -> None:
        if self._process is None:
            return
        self._output += self._process.readAllStandardOutput().data()
        if len(self._output) > MOST_OUTPUT:
            self._process.kill()
            self.stop()
            self._too_much()

    def _read_errors(self) -> None:
        if self._process is None:
            return
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
        self._read_output()
        self._read_errors()
        if self._process is None:
            return
        if self._rest:
            self._say(self._rest)
        self._let_go()
        self._ended(code if status == QProcess.ExitStatus.NormalExit else -1)

    def _broken(self, error: QProcess.ProcessError) -> None:
        """All other errors come before `finished`."""
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            reason = self._process.errorString()
            self._let_go()
            self._not_started(reason)

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._gone(process)


def _interrupt(process: QProcess) -> None:
    """What Ctrl-C does; Windows knows nothing like it for another program."""
    if os.name == "posix" and process.processId():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.processId(), signal.SIGINT)
    else:
        process.kill()


def _end_all(processes: set[QProcess], patience_ms: int, *_: object) -> None:
    """Whoever owns them goes: so do they, now."""
    for process in list(processes):
        process.blockSignals(True)
        _interrupt(process)
    for process in list(processes):
        if not process.waitForFinished(patience_ms):
            process.kill()
            process.waitForFinished(patience_ms)
    processes.clear()
