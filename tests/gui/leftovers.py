"""What a test of the window left behind: widgets, timers, threads, programs, and their names.

Rules: only what Python has a wrapper of is seen, which is all that the window makes; timers of Qt's
own (`QTimer.singleShot`, animations of a style) are not. What Python would free by itself is no
leftover: garbage is collected before anything is blamed.

Counterparts: `conftest.py` has every test looked at; `test_leftovers.py`.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Final

import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QProcess, QThread, QTimer
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

__all__ = ["Leftovers"]

PATIENCE_MS: Final = 2000
"""Until a thread or program that is ended here has ended."""


class Leftovers:
    """Knows what was there when it was made, and finds what came since and is still at work."""

    def __init__(self) -> None:
        self._before = [weakref.ref(each) for each in _objects()]

    def found(self) -> list[QObject]:
        """What came since."""
        _delete_what_asked_for_it()
        if not self._new():
            return []
        gc.collect()
        _delete_what_asked_for_it()
        return self._new()

    def remove(self) -> list[str]:
        """Put an end to what came since, so that the next test begins clean; say what it was."""
        found = self.found()
        names = [_name(each) for each in found]
        for each in found:
            if shiboken6.isValid(each):
                _end(each)
        _delete_what_asked_for_it()
        return names

    def _new(self) -> list[QObject]:
        """What is at work and belongs to nothing that was there before."""
        still = (before() for before in self._before)
        known = {_address(each) for each in still if each is not None and shiboken6.isValid(each)}
        working = (each for each in _objects() if _is_at_work(each))
        return [each for each in working if known.isdisjoint(map(_address, _owners(each)))]


def _objects() -> list[QObject]:
    return [each for each in shiboken6.getAllValidWrappers() if isinstance(each, QObject)]


def _owners(each: QObject) -> Iterator[QObject]:
    """It, and what it belongs to, but for the application."""
    owner: QObject | None = each
    while owner is not None and owner is not QApplication.instance():
        yield owner
        owner = owner.parent()


def _is_at_work(each: QObject) -> bool:
    """Widgets inside another are at work with that one."""
    match each:
        case QWidget():
            return each.parentWidget() is None
        case QTimer():
            return each.isActive()
        case QThread():
            return each.isRunning() and each != QThread.currentThread()
        case QProcess():
            return each.state() != QProcess.ProcessState.NotRunning
        case QLocalSocket():
            return each.state() != QLocalSocket.LocalSocketState.UnconnectedState
        case QLocalServer():
            return each.isListening()
        case QSystemTrayIcon():
            return each.isVisible()
    return False


def _end(each: QObject) -> None:
    match each:
        case QTimer():
            each.stop()
        case QThread():
            each.quit()
            each.wait(PATIENCE_MS)
        case QProcess():
            each.kill()
            each.waitForFinished(PATIENCE_MS)
        case QLocalSocket():
            each.abort()
        case QLocalServer():
            each.close()
        case QSystemTrayIcon():
            each.hide()
        case QWidget():
            each.close()
            each.deleteLater()


def _name(each: QObject) -> str:
    """Its class, its name, and those of the ones it belongs to."""
    return " of ".join(f"{type(owner).__name__} {owner.objectName()!r}" for owner in _owners(each))


def _address(each: QObject) -> int:
    return shiboken6.getCppPointer(each)[0]


def _delete_what_asked_for_it() -> None:
    """Outside an event loop Qt does not carry out `deleteLater` by itself."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
