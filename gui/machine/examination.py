"""Runs `samehost doctor --json`, or the like, and reads what it has found.

Rules: the command is a process of its own, which disturbs neither daemon nor window; one at a time.
It may print anything and hang: its output is bounded, and it can be ended. A doctor that finds
problems ends with another code than 0, so what it printed counts first. Counterparts:
`findings.py`; `desktop/api/local.py` for the command.
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
from gui.machine.findings import Finding, parse
from gui.session import Problem

__all__ = ["Examination"]

MOST_OUTPUT: Final = 1 << 20
MOST_LINES: Final = 50
LONGEST_LINE: Final = 1000
END_MS: Final = 3000
"""Time for it to end by itself when it is asked to, so that it leaves nothing behind."""


class Examination(QObject):
    """See the module.

    Signals:
        told: a line of progress.
        found: the list of `Finding`s; failed: a `Problem`. One of them comes, unless stopped.
    """

    told = Signal(str)
    found = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._alive: set[QProcess] = set()
        self.destroyed.connect(partial(_end_all, self._alive))
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.end_now)
        self._output = bytearray()
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    @property
    def is_running(self) -> bool:
        """It has been started, and has not said how it ended."""
        return self._process is not None

    def start(self, command: Sequence[str]) -> None:
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
        process.readyReadStandardOutput.connect(self._read_output)
        process.readyReadStandardError.connect(self._read_errors)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._broken)
        process.start()

    def stop(self) -> None:
        """End it as Ctrl-C does, so that it leaves nothing behind; nothing more is told."""
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
        process.finished.connect(partial(self._gone, process))
        _interrupt(process)
        patience = QTimer(process, singleShot=True, interval=END_MS)
        patience.timeout.connect(process.kill)
        patience.start()

    def end_now(self) -> None:
        """The same, and wait for it: the program ends, and its widgets are not destroyed then."""
        self.stop()
        _end_all(self._alive)

    def _gone(self, process: QProcess, *_: object) -> None:
        self._alive.discard(process)
        process.deleteLater()

    def _read_output(self) -> None:
        if self._process is None:
            return
        self._output += self._process.readAllStandardOutput().data()
        if len(self._output) > MOST_OUTPUT:
            self._process.kill()
            self.stop()
            self._fail(self.tr("the examination prints without end"), "")

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
        crashed = status != QProcess.ExitStatus.NormalExit
        self._conclude(-1 if crashed else code)

    def _conclude(self, code: int) -> None:
        try:
            findings: list[Finding] = parse(bytes(self._output))
        except ValueError as error:
            if self._lines or code:
                fields = failure_of(code, list(self._lines))
                self.failed.emit(Problem(fields["message"], fields["remedy"], fields["code"]))
            else:
                self._fail(self.tr("the examination says what is not understood: {}"), str(error))
            return
        self.found.emit(findings)

    def _broken(self, error: QProcess.ProcessError) -> None:
        """All other errors come before `finished`."""
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            reason = self._process.errorString()
            self._let_go()
            self._fail(self.tr("the examination cannot be started: {}"), reason)

    def _fail(self, message: str, detail: str) -> None:
        remedy = self.tr("try it in a terminal: samehost doctor")
        self.failed.emit(Problem(message.format(detail), remedy, "FAILED"))

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


def _end_all(processes: set[QProcess], *_: object) -> None:
    """Whoever owns them goes: so do they, now."""
    for process in list(processes):
        process.blockSignals(True)
        _interrupt(process)
    for process in list(processes):
        if not process.waitForFinished(END_MS):
            process.kill()
            process.waitForFinished(END_MS)
    processes.clear()
