"""What a test leaves behind is found and named; what is gone, or was there before, is not."""

from __future__ import annotations

import sys
from typing import TypeVar

import pytest
from PySide6.QtCore import QObject, QProcess, QThread, QTimer
from PySide6.QtWidgets import QDialog, QWidget

from tests.gui.leftovers import Leftovers

pytestmark = pytest.mark.usefixtures("qapp")

T = TypeVar("T", bound=QObject)


def named(each: T, name: str) -> T:
    each.setObjectName(name)
    return each


def test_a_window_is_found_and_named_with_what_it_belongs_to_and_removed() -> None:
    leftovers = Leftovers()
    window = named(QWidget(), "window")
    named(QTimer(window), "timer").start(1000)
    assert set(leftovers.remove()) == {"QWidget 'window'", "QTimer 'timer' of QWidget 'window'"}
    assert leftovers.found() == []


def test_a_thread_is_found_and_ended() -> None:
    leftovers = Leftovers()
    thread = named(QThread(), "thread")
    thread.start()
    assert leftovers.remove() == ["QThread 'thread'"]
    assert thread.isFinished()


def test_a_program_is_found_and_ended() -> None:
    leftovers = Leftovers()
    program = named(QProcess(), "program")
    program.start(sys.executable, ["-c", "input()"])
    assert program.waitForStarted()
    assert leftovers.remove() == ["QProcess 'program'"]
    assert program.state() == QProcess.ProcessState.NotRunning


def test_what_is_garbage_is_no_leftover() -> None:
    leftovers = Leftovers()
    cycle: list[object] = [QWidget()]
    cycle.append(cycle)
    del cycle
    assert leftovers.found() == []


def test_what_was_there_before_is_no_leftover() -> None:
    window = QWidget()
    dialog = QDialog(window)
    stopped = QTimer()
    leftovers = Leftovers()
    assert leftovers.found() == []
    assert (dialog.parent(), stopped.isActive()) == (window, False)
    window.deleteLater()


def test_what_was_there_before_may_begin_to_work() -> None:
    owner = QObject()
    timer = QTimer(owner)
    leftovers = Leftovers()
    timer.start(1000)
    QTimer(owner).start(1000)
    assert leftovers.found() == []
    timer.stop()


def test_what_was_closed_and_deleted_is_no_leftover() -> None:
    leftovers = Leftovers()
    window = QWidget()
    owned = QObject(window)
    window.deleteLater()
    assert leftovers.found() == []
    assert owned is not None
