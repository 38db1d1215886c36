"""The page Machine: which machines are in use, which there are, and what is wrong with them.

Rules: looks for machines once it is first seen with a daemon, and then only when asked. All else is
what the session knows. Counterparts: `cards.py`, `choosing.py`, `examining.py`; `gui/window.py`.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from desktop.api.local import verb_command
from desktop.api.types import MachineList
from gui.machine.cards import MachineCards
from gui.machine.choosing import Choosing
from gui.machine.examining import Command, Examining
from gui.parts import Heading, PlainLabel, ScrollArea
from gui.session import Link, Session
from gui.states import Known, State, state_of

__all__ = ["MachinePage"]


class MachinePage(QWidget):
    """See the module. `command` makes the command line of a verb of `samehost`."""

    def __init__(
        self,
        session: Session,
        parent: QWidget | None = None,
        *,
        command: Command = verb_command,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("machine-page")
        self._session = session
        self._has_searched = False
        self._area = ScrollArea(self)
        self.cards = MachineCards(self)
        self._title = Heading("", self, level=2)
        self._title.setObjectName("machine-state")
        self._words = PlainLabel("", self, selectable=True)
        self._words.setObjectName("machine-state-words")
        self.choosing = Choosing(session, self)
        self.examining = Examining(command, self)
        self._arrange()
        self.choosing.examined.connect(self.examining.examine_machine)
        self.choosing.searching.ended.connect(self._look)
        self.choosing.work.changed.connect(self._follow)
        self.examining.began.connect(self._show_examination)
        self.examining.ended.connect(self._show_findings)
        session.statusChanged.connect(self._look)
        session.linkChanged.connect(self._link_changed)
        self._look()

    def refresh(self) -> None:
        """Look for machines, as F5 asks for."""
        self.choosing.searching.begin()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.showEvent`."""
        super().showEvent(event)
        self._search_once()

    @property
    def _found(self) -> MachineList | None:
        return self.choosing.searching.found

    def _arrange(self) -> None:
        content = QWidget(self)
        inner = QVBoxLayout(content)
        inner.addWidget(Heading(self.tr("Machine"), content))
        inner.addWidget(self._title)
        inner.addWidget(self._words)
        inner.addWidget(self.cards)
        inner.addSpacing(self.fontMetrics().height() // 2)
        inner.addWidget(Heading(self.tr("Machines of this computer"), content, level=2))
        inner.addWidget(self.choosing)
        inner.addSpacing(self.fontMetrics().height() // 2)
        inner.addWidget(self.examining)
        inner.addStretch(1)
        area = self._area
        area.setAccessibleName(self.tr("Machine"))
        area.setAccessibleDescription(self.tr("The arrow keys scroll"))
        area.setObjectName("machine-area")
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        area.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def _search_once(self) -> None:
        if not self._has_searched and self.isVisible() and self._session.link is Link.READY:
            self._has_searched = True
            self.choosing.searching.begin()

    def _follow(self) -> None:
        """What was begun is to be seen, as soon as it has its place."""
        if self.choosing.work.is_running:
            QTimer.singleShot(0, self, self._scroll_to_work)

    def _scroll_to_work(self) -> None:
        self._area.ensureWidgetVisible(self.choosing.activity)

    def _show_examination(self) -> None:
        QTimer.singleShot(0, self, self._scroll_to_examination)

    def _show_findings(self) -> None:
        """To whoever has not gone on to something else meanwhile."""
        if not self.examining.visibleRegion().isEmpty():
            self._show_examination()

    def _scroll_to_examination(self) -> None:
        """All of it, or, where there is no room for that, from its beginning on."""
        bar, height = self._area.verticalScrollBar(), self._area.viewport().height()
        top = self.examining.y()
        bottom = top + self.examining.height()
        if not bar.value() <= top <= bottom <= bar.value() + height:
            bar.setValue(min(top, bottom - height))

    def _link_changed(self) -> None:
        self._search_once()
        self._look()

    def _look(self) -> None:
        is_ready = self._session.link is Link.READY
        self.cards.show_status(self._session.status if is_ready else None, self._found)
        state = self._state()
        waiting = "" if is_ready else self.tr("Nothing is known without a connection to Samehost.")
        self._title.setText(state.title if state else "")
        self._title.setVisible(state is not None)
        self._words.setText(state.explanation if state else waiting)
        self._words.setVisible(bool(self._words.text()))

    def _state(self) -> State | None:
        """What is to be said if there is no machine; the window tells all else."""
        link, status, found = self._session.link, self._session.status, self._found
        if link is not Link.READY or found is None:
            return None
        state = state_of(Known(link, None, status, (), len(found.machines)))
        return state if state is not None and state.name == "no-machine-found" else None
