"""The page Ports: every port that is the same on both sides, live.

    Session ─▶ PortModel ─▶ PortTable ─▶ PortDetails
                  ▲             └─▶ PortActions ─▶ IgnoreList ─▶ Session
              FilterBar

Rules: while nobody sees the page nothing happens: no timer, no change of the model; when it is seen
again it becomes the table as it is by then. Selection and scroll position stay over all that, and
over a lost connection. With nothing to show, `StateView` says why.
"""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.api.types import PortDelta, row_key
from gui.deltas import RowKey, container_key
from gui.parts import Banner, Hint, IconLabel
from gui.ports.actions import ActionButton, PortActions
from gui.ports.details import PortDetails
from gui.ports.filter import count_states
from gui.ports.filterbar import FilterBar
from gui.ports.flow import FlowLayout
from gui.ports.ignoring import IgnoreChange, IgnoreList
from gui.ports.model import PortModel
from gui.ports.nothing import NothingFound
from gui.ports.table import PortTable
from gui.session import Problem, Session
from gui.state_view import StateView

__all__ = ["PortsPage"]

TICK_MS: Final = 1000
"""Ages, rates and the sparkline move on once a second."""

COLUMNS_REST_MS: Final = 400
"""How long the columns stay as they are until that is told: nobody keeps each step of a drag."""

MOST_NAMED: Final = 10
"""Rules that are named in a message; more are counted."""


class PortsPage(QWidget):
    """See the module.

    Signals:
        settingWanted: the name of a setting that is asked for; pageWanted: another page.
        tellsStateChanged: `tells_state` gives another answer.
        columnsChanged: `columns_state` gives another answer.
    """

    settingWanted = Signal(str)  # noqa: N815 (as Qt names signals)
    pageWanted = Signal(str)  # noqa: N815
    tellsStateChanged = Signal()  # noqa: N815
    columnsChanged = Signal()  # noqa: N815

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._is_seen = False
        self._picked: list[RowKey] = []
        self._missed: list[RowKey] = []
        self._scrolled: int | None = None
        self._undo: IgnoreChange | None = None
        self.model = PortModel(self)
        words = self.model.cells.words
        self.state = StateView(session, self)
        self.banner = Banner(self)
        self.bar = FilterBar(words, self)
        self.table = PortTable(self.model, self)
        self.details = PortDetails(words, self)
        self.nothing = NothingFound(self)
        self._ignore_list = IgnoreList(session, self)
        self.port_actions = PortActions(self._ignore_list, self)
        self._timer = QTimer(self, interval=TICK_MS)
        self._columns_rest = QTimer(self, interval=COLUMNS_REST_MS, singleShot=True)
        self._arrange()
        self._connect()
        self._draw()

    # What the window asks of a page

    def tells_state(self, name: str) -> bool:
        """True if the page itself says what is the matter."""
        state = self.state.state
        return (
            self._stack.currentWidget() is self.state and state is not None and state.name == name
        )

    def focus_filter(self) -> None:
        """Let the person type what to look for."""
        self.bar.text.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.bar.text.selectAll()

    def columns_state(self) -> bytes:
        """What the person made of the columns."""
        return self.table.columns_state()

    def restore_columns(self, state: bytes) -> None:
        """Make the columns as they were."""
        self.table.restore_columns(state)

    # Seen or not

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Become the table as it is by now, and go on."""
        super().showEvent(event)
        if not self._is_seen:
            self.details.sparkline.clear()
        self._is_seen = True
        self._take_all()
        self._tick()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Rest."""
        super().hideEvent(event)
        self._is_seen = False
        self._timer.stop()
        if self._columns_rest.isActive():
            self._columns_rest.stop()
            self.columnsChanged.emit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    # The table

    def _take_all(self) -> None:
        """The table is another one, or nobody saw it change."""
        if not self._is_seen:
            return
        if not self._missed:
            self._missed, self._scrolled = self._picked, self.table.verticalScrollBar().value()
        self.model.sync(self._session.rows, time.monotonic())
        self._changed(None)

    def _take(self, delta: PortDelta) -> None:
        if self._is_seen:
            self.model.apply(delta, time.monotonic())
            self._changed(delta)

    def _changed(self, delta: PortDelta | None) -> None:
        """Rows came, went or changed; None: perhaps all of them."""
        self._find_missed()
        self._show_fitting()
        rows = () if delta is None else (*delta.added, *delta.changed, *delta.removed)
        if delta is None or not {*map(row_key, rows)}.isdisjoint(self._picked):
            self._show_picked()

    def _find_missed(self) -> None:
        """Select again what was selected before the rows were gone."""
        if not self._missed or self.table.picked_keys():
            self._missed = []
        elif any(self.model.place(key) is not None for key in self._missed):
            missed, self._missed = self._missed, []
            self.table.pick(missed)
            if self._scrolled is None:
                self.table.scrollTo(self.table.currentIndex())
            else:
                self.table.verticalScrollBar().setValue(self._scrolled)

    def _show_picked(self) -> None:
        rows = self.table.picked_rows()
        before, self._picked = self._picked[:1], list(map(row_key, rows))
        self.port_actions.show_rows(rows)
        entry = self.model.find(self._picked[0]) if self._picked else None
        if before != self._picked[:1]:
            self.details.sparkline.clear()
        if entry is None:
            self.details.show_nothing()
            return
        key = container_key(entry.row)
        container = self._session.containers.get(key) if key else None
        self.details.show_row(entry, container, time.time())

    def _tick(self) -> None:
        self.model.tick(time.monotonic(), time.time(), self.table.seen())
        entry = self.model.find(self._picked[0]) if self._picked else None
        if entry is not None:
            self.details.sparkline.add(entry.rate)
            self._show_picked()

    def _set_filter(self) -> None:
        if not self._missed:
            self._missed, self._scrolled = self._picked, None
        self.model.set_filter(self.bar.filter)
        self._find_missed()
        self._show_fitting()
        current = self.table.currentIndex()
        if current.isValid():
            self.table.scrollTo(current)

    def _show_counts(self) -> None:
        self.bar.show_counts(count_states(self.model.states.items()), self.model.origins)

    def _show_fitting(self) -> None:
        """Table, or that nothing matches, or why there is nothing at all."""
        is_empty = self.model.total == 0 and self.state.state is not None
        shown = self.state if is_empty else self._content
        if self._stack.currentWidget() is not shown:
            self._stack.setCurrentWidget(shown)
        has_rows = self.model.rowCount() > 0 or self.model.total == 0
        self._middle.setCurrentWidget(self._panes if has_rows else self.nothing)
        if not has_rows:
            self.nothing.show_total(self.model.total)
        self.tellsStateChanged.emit()

    # Actions

    def _tell_done(self, change: IgnoreChange) -> None:
        if self._undo is not None and change == self._undo.undone:
            self._undo = None
            self.banner.clear()
            return
        self._undo = change
        added, removed = self._named(change.added), self._named(change.removed)
        text = (
            self.tr("Ignored from now on: {rules}").format(rules=added)
            if added
            else self.tr("No longer ignored: {rules}").format(rules=removed)
        )
        self.banner.clear()
        self.banner.tell(text, "", self.tr("&Undo"), "info", closes=True)

    def _tell_failed(self, problem: Problem) -> None:
        self._undo = None
        self.banner.clear()
        self.banner.tell(problem.message, problem.remedy, closes=True)

    def _tell_unopened(self, url: str) -> None:
        self._undo = None
        self.banner.clear()
        self.banner.tell(
            self.tr("No browser could be opened."),
            self.tr("Copy the address into one: {url}").format(url=url),
            closes=True,
        )

    def _take_back(self) -> None:
        if self._undo is not None:
            self._ignore_list.make(self._undo.undone)

    def _put_away(self) -> None:
        self._undo = None
        self.banner.clear()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _named(self, rules: tuple[str, ...]) -> str:
        names = ", ".join(rules[:MOST_NAMED])
        return names if len(rules) <= MOST_NAMED else self.tr("{names} …").format(names=names)

    def _open_menu(self, place: QPoint) -> None:
        menu = QMenu(self.table)
        menu.setObjectName("ports-menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self.port_actions.all)
        menu.setToolTipsVisible(True)
        menu.popup(self.table.viewport().mapToGlobal(place))

    def _show_obstacle(self) -> None:
        self._obstacle.setText(self.port_actions.obstacle)
        for widget in (self._obstacle, self._lock):
            widget.setVisible(bool(self.port_actions.obstacle))

    # How it is put together

    def _draw(self) -> None:
        self.model.set_palette(self.palette())
        self.port_actions.draw(self.palette())

    def _connect(self) -> None:
        session = self._session
        session.portsReset.connect(self._take_all)
        session.portsChanged.connect(self._take)
        self.state.changed.connect(self._show_fitting)
        self.state.pageWanted.connect(self.pageWanted)
        self.model.counted.connect(self._show_counts)
        self.bar.changed.connect(self._set_filter)
        self.nothing.cleared.connect(self._clear_filter)
        self.table.picked.connect(self._show_picked)
        self.table.columns_changed.connect(self._columns_rest.start)
        self._columns_rest.timeout.connect(self.columnsChanged)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self.port_actions.settingWanted.connect(self.settingWanted)
        self.port_actions.unopened.connect(self._tell_unopened)
        self._ignore_list.changed.connect(self._show_obstacle)
        self._ignore_list.done.connect(self._tell_done)
        self._ignore_list.failed.connect(self._tell_failed)
        self.banner.acted.connect(self._take_back)
        self.banner.closed.connect(self._put_away)
        self._timer.timeout.connect(self._tick)
        self._show_obstacle()
        self._show_counts()

    def _clear_filter(self) -> None:
        self.bar.clear()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _arrange(self) -> None:
        self.setObjectName("ports")
        self.setAccessibleName(self.tr("Ports"))
        menu = QMenu(self.bar.columns)
        menu.aboutToShow.connect(lambda: self.table.fill_column_menu(menu))
        self.bar.columns.setMenu(menu)
        self.table.addActions(self.port_actions.all)
        self._panes = QSplitter(Qt.Orientation.Vertical, self)
        self._panes.setChildrenCollapsible(False)
        self._panes.addWidget(self.table)
        self._panes.addWidget(self._below())
        self._panes.setStretchFactor(0, 1)
        self._panes.setStretchFactor(1, 0)
        self._middle = QStackedWidget(self)
        self._middle.addWidget(self._panes)
        self._middle.addWidget(self.nothing)
        self._content = QWidget(self)
        content = QVBoxLayout(self._content)
        content.setContentsMargins(0, 0, 0, 0)
        content.addWidget(self.bar)
        content.addWidget(self._middle, 1)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._content)
        self._stack.addWidget(self.state)
        layout = QVBoxLayout(self)
        layout.addWidget(self.banner)
        layout.addWidget(self._stack, 1)

    def _below(self) -> QWidget:
        """Buttons and details."""
        below = QWidget(self)
        buttons = FlowLayout()
        for action in self.port_actions.all:
            buttons.addWidget(ActionButton(action, below))
        self._obstacle = Hint("", below)
        self._obstacle.setObjectName("ignore-obstacle")
        self._lock = IconLabel("lock", below)
        why = QHBoxLayout()
        why.addWidget(self._lock)
        why.addWidget(self._obstacle, 1)
        layout = QVBoxLayout(below)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addLayout(why)
        layout.addWidget(self.details, 1)
        return below
