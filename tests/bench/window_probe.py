"""The window, telling when it paints: what `window.py` runs where that is measured.

    python -m tests.bench.window_probe [ARGUMENT…]     as `python -m gui [ARGUMENT…]`

Rules: a line of JSON on standard output for the window's first paint, {"painted": TIME}, and for
each paint of the port table, {"table": TIME, "cells": […]} with what can be read there. Times are
of CLOCK_MONOTONIC, after what was painted went to the screen.

Limits: it sees every event, which costs time; CPU is measured without it.
Counterpart: `window.py`.
"""

from __future__ import annotations

import json
import runpy
import time
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QTimer
from PySide6.QtWidgets import QAbstractItemView, QApplication, QWidget

__all__ = ["main"]

TABLE = "ports-table"


class Observer(QObject):
    """See the module."""

    def __init__(self, application: QApplication) -> None:
        super().__init__()
        self._is_painted = False
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Look at every event, and stop none."""
        if event.type() == QEvent.Type.Paint and isinstance(watched, QWidget):
            if not self._is_painted:
                self._is_painted = True
                _after_this(lambda: _tell(painted=time.monotonic()))
            table = watched.parentWidget()
            if isinstance(table, QAbstractItemView) and table.objectName() == TABLE:
                _after_this(lambda: _tell(table=time.monotonic(), cells=_cells(table)))
        return False


def _after_this(act: Any) -> None:
    """When all that has to be painted now is painted, and on its way to the screen."""
    QTimer.singleShot(0, act)


def _cells(table: QAbstractItemView) -> list[str]:
    """What can be read in the table now, row by row."""
    model, height = table.model(), table.viewport().height()
    top = table.indexAt(QPoint(1, 1)).row()
    if top < 0:
        return []
    found = []
    for row in range(top, model.rowCount()):
        index = model.index(row, 0)
        if table.visualRect(index).top() >= height:
            break
        columns = range(model.columnCount())
        found.append(" ".join(str(index.siblingAtColumn(column).data()) for column in columns))
    return found


def _tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    """Run the window as `python -m gui` does, observed."""
    run = QApplication.exec
    observers = []

    def observed(application: QApplication) -> int:
        observers.append(Observer(application))
        return run()

    QApplication.exec = observed  # type: ignore[assignment, method-assign]
    runpy.run_module("gui", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
