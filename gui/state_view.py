"""Shows the state that `states.py` finds, with its button, and does what the button says.

    StateView(session)      in the middle of a page that has nothing to show: follows the session
    StateWatch(session)     the same without a look: for banners and the tray
    perform(action, …)      what an action is

Rules: `watch.state` is kept true; `changed` when it became another. A short wait for a daemon that
answers is not worth a word: `connecting` is told after a moment only.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from desktop.api.types import MachineList
from gui.parts import CommandBox, Heading, IconLabel, PlainLabel
from gui.session import Call, Link, Problem, Session
from gui.states import Action, Known, State, action_text, state_of

__all__ = ["StateView", "StateWatch", "perform"]

PATIENCE_MS: Final = 700
"""How long a connection may take to come about without a word about it."""

WIDEST_TEXT: Final = 110
"""Widths of an average letter: lines are read with ease, and the example command is seen whole."""

MOST_LINES: Final = 50

PAGES: Final = {Action.MACHINES: "machine", Action.SWITCH: "network"}
"""Actions that lead to a page."""


class StateWatch(QObject):
    """See the module.

    Attributes:
        state: what is to be said, None if all is well (or nothing is worth saying yet).
        trouble: why the last action failed, None if it did not, or that is over.
    """

    changed = Signal()
    pageWanted = Signal(str)  # noqa: N815 (as Qt names signals)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state: State | None = None
        self.trouble: Problem | None = None
        self._failed_action = Action.NONE
        self._is_attached: bool | None = None
        self._session = session
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._search = _Search.of(session)
        self._search.ended.connect(self._look)
        self._call: Call | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._look)
        session.linkChanged.connect(self._link_changed)
        session.statusChanged.connect(self._status_changed)
        session.portsReset.connect(self._look)
        session.portsChanged.connect(self._look)
        session.startTold.connect(self._told)
        session.attachEnded.connect(self._attach_ended)
        self._link_changed()

    @property
    def is_acting(self) -> bool:
        """An action is under way."""
        return self._call is not None

    @property
    def action(self) -> Action:
        """What can be done now: once more what failed, else what the state says."""
        if self.trouble is not None:
            return self._failed_action
        return self.state.action if self.state is not None else Action.NONE

    def act(self) -> None:
        """Do it."""
        action = self.action
        if self._call is not None:
            return
        self.trouble, self._failed_action, self._is_attached = None, action, None
        if action in PAGES:
            self.pageWanted.emit(PAGES[action])
        else:
            self._call = perform(action, self._session, self._done, self._failed)
            self._look()
        self.changed.emit()

    def _done(self, _: Any) -> None:
        self._call = None
        self._look()
        self.changed.emit()

    def _failed(self, problem: Problem) -> None:
        self.trouble = problem
        self._done(None)

    def _attach_ended(self, problem: Problem | None) -> None:
        """The daemon that was started here has attached to its machine, or not, or not to all."""
        self.trouble, self._failed_action, self._is_attached = None, Action.ATTACH, None
        if problem is not None:
            self._failed(problem)

    def _status_changed(self) -> None:
        """The first status after attaching tells whether its trouble is another machine's."""
        status = self._session.status
        if self._is_attached is None and self._failed_action is Action.ATTACH and status:
            self._is_attached = status.machine.state == "connected"
            if self._is_attached:
                self._failed_action = Action.MACHINES
        self._look()

    def _is_trouble_over(self, state: State | None) -> bool:
        session = self._session
        if session.link is not Link.READY or session.status is None:
            return True
        if self._failed_action is Action.ATTACH:
            return self._is_attached is False and session.status.machine.state == "connected"
        if self._failed_action is Action.MACHINES:
            return False
        return state is None or self.state is None or state.name != self.state.name

    def _told(self, line: str) -> None:
        self._lines.append(line)
        self._look()

    def _link_changed(self) -> None:
        if self._session.link is Link.CONNECTING:
            self._patience.start()
        else:
            self._patience.stop()
        self._look()

    def _look(self) -> None:
        session = self._session
        if session.link is not Link.STARTING and not session.is_attaching:
            self._lines.clear()
        if self._patience.isActive():
            return
        self._look_for_machines()
        known = Known(
            session.link,
            session.problem,
            session.status,
            tuple(self._lines),
            self._search.count,
            len(session.rows),
            session.is_attaching,
        )
        state, trouble = state_of(known), self.trouble
        if trouble is not None and self._is_trouble_over(state):
            self.trouble = None
        if state != self.state or trouble is not self.trouble:
            self.state = state
            self.changed.emit()

    def _look_for_machines(self) -> None:
        """Only if none is attached: looking for machines runs programs."""
        session = self._session
        if session.link is not Link.READY or session.status is None:
            return
        if all(machine.state == "stopped" for machine in session.status.machines):
            self._search.begin()


class _Search(QObject):
    """How many machines there are; one for all who watch a session. `ended` when that is known.

    Attributes:
        count: None while nobody has looked since the daemon was found.
    """

    ended = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.count: int | None = None
        self._session = session
        self._call: Call | None = None
        session.linkChanged.connect(self._link_changed)

    @staticmethod
    def of(session: Session) -> _Search:
        """The one of that session."""
        return session.findChild(_Search) or _Search(session)

    def begin(self) -> None:
        """Look, if nobody has."""
        if self._call is None:
            self._call = self._session.call("machines", then=self._found, fails=self._not_found)

    def _found(self, result: Any) -> None:
        with contextlib.suppress(msgspec.ValidationError):  # the machine page tells of it
            self.count = len(msgspec.convert(result, MachineList).machines)
            self.ended.emit()

    def _not_found(self, _: Problem) -> None:
        """Nobody knows then; the machine page tells why."""
        self.count = None

    def _link_changed(self) -> None:
        if self._session.link is not Link.READY:
            self.count = self._call = None


def perform(
    action: Action,
    session: Session,
    then: Callable[[Any], None],
    fails: Callable[[Problem], None],
) -> Call | None:
    """Do it. The call under way, None if there is none: then nothing is called back.

    What attaching says on its way is told by the session, to all who watch it.
    """
    match action:
        case Action.START:
            session.start_daemon()
        case Action.RETRY:
            session.retry()
        case Action.ENABLE:
            return session.call("set_enabled", {"enabled": True}, then=then, fails=fails)
        case Action.ATTACH:
            return session.call(
                "attach",
                {"machine": None},
                then=then,
                fails=fails,
                progress=session.startTold.emit,
                ask=session.questioner,
            )
    return None


class StateView(QWidget):
    """A state in the middle of a page: icon, title, explanation, command, button.

    `changed` when it became another, or none: then whoever owns this shows something else.
    """

    changed = Signal()
    pageWanted = Signal(str)  # noqa: N815

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("state")
        self._watch = StateWatch(session, self)
        self._icon = IconLabel("info", self, scale=3.0)
        self._title = Heading("", self)
        self._title.setObjectName("state-title")
        self._text = PlainLabel("", self, selectable=True)
        self._text.setObjectName("state-explanation")
        self._trouble = PlainLabel("", self, selectable=True)
        self._trouble.setObjectName("state-trouble")
        self._command = CommandBox("", self)
        self._command.setObjectName("state-command")
        self._button = QPushButton(self)
        self._button.setObjectName("state-action")
        self._button.clicked.connect(self._watch.act)
        self._arrange()
        self._watch.changed.connect(self._show)
        self._watch.changed.connect(self.changed)
        self._watch.pageWanted.connect(self.pageWanted)
        self._show()

    @property
    def state(self) -> State | None:
        """What it shows; None: nothing, all is well."""
        return self._watch.state

    def _arrange(self) -> None:
        centre = Qt.AlignmentFlag.AlignHCenter
        column = QVBoxLayout()
        column.setSpacing(self.fontMetrics().height() * 2 // 3)
        column.addStretch(2)
        column.addWidget(self._icon, 0, centre)
        for label in (self._title, self._text, self._trouble):
            label.setAlignment(centre)
            column.addWidget(label)
        column.addWidget(self._command)
        column.addWidget(self._button, 0, centre)
        column.addStretch(3)
        middle = QWidget(self)
        middle.setLayout(column)
        middle.setMaximumWidth(self.fontMetrics().averageCharWidth() * WIDEST_TEXT)
        row = QHBoxLayout(self)
        row.addStretch(1)
        row.addWidget(middle, WIDEST_TEXT)
        row.addStretch(1)

    def _show(self) -> None:
        state, trouble = self._watch.state, self._watch.trouble
        if state is None:
            return
        self._icon.show_icon(state.icon)
        self._title.setText(state.title)
        self._text.setText(state.explanation)
        self._trouble.setText(f"{trouble.message}\n{trouble.remedy}".strip() if trouble else "")
        self._trouble.setVisible(trouble is not None)
        self._command.show_command(state.command)
        self._command.setVisible(bool(state.command))
        self._button.setText(action_text(self._watch.action))
        self._button.setVisible(self._watch.action is not Action.NONE)
        self._button.setDisabled(self._watch.is_acting)
        self._button.setAccessibleDescription(state.title)
        self.setAccessibleName(state.title)
        self.setAccessibleDescription(state.explanation)
