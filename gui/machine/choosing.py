"""Chooses machines: those that there are in a table, what can be done with them, one by name.

Rules: what is done is told here, and so is what failed; one thing at a time. Stopping asks first.
Counterparts: `entries.py`: what there is; `searching.py`; `work.py`: what is under way.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.machine.actions import ActionButtons
from gui.machine.activity import Activity, has_focus
from gui.machine.entries import Action, Entry, entries
from gui.machine.finding_rows import FindingRows
from gui.machine.naming import Naming
from gui.machine.searching import Searching
from gui.machine.stopping import StopDialog
from gui.machine.table import MachineTable
from gui.machine.words import cut
from gui.machine.work import Work
from gui.parts import IconLabel, PlainLabel
from gui.session import Link, Session

__all__ = ["Choosing"]


class Choosing(QWidget):
    """See the module.

    Attributes:
        searching, work: what is under way of either kind; activity shows the latter.
    """

    examined = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._dialog: StopDialog | None = None
        self.searching = Searching(session, self)
        self._table = MachineTable(self)
        self._buttons = ActionButtons(self)
        self._note_icon = IconLabel("info", self)
        self._note = PlainLabel("", self, selectable=True)
        self._note.setObjectName("machine-note")
        self.activity = Activity(self)
        self.work = Work(session, self.activity, self)
        self._findings = FindingRows(self)
        self._findings.setObjectName("search-findings")
        self._naming = Naming(self)
        self._arrange()
        self._table.chosen.connect(self._offer)
        self._buttons.wanted.connect(self._act)
        self._naming.wanted.connect(self._begin)
        self.searching.ended.connect(self._searched)
        self.work.changed.connect(self._work_changed)
        self.work.done.connect(self._worked)
        session.statusChanged.connect(self._look)
        session.settingsChanged.connect(self._offer)
        session.linkChanged.connect(self._link_changed)
        self._look()

    @property
    def entries(self) -> list[Entry]:
        """The machines of the table, from top to bottom."""
        return self._table.entries

    def _arrange(self) -> None:
        beside = QHBoxLayout()
        beside.addWidget(self._table, 1)
        beside.addWidget(self._buttons)
        note = QHBoxLayout()
        note.addWidget(self._note_icon, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self._note, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.searching)
        layout.addLayout(beside)
        layout.addLayout(note)
        layout.addWidget(self.activity)
        layout.addWidget(self._findings)
        layout.addWidget(self._naming)

    def _look(self) -> None:
        """Show what is known now."""
        self._table.show_entries(entries(self._session.status, self.searching.found))
        self._offer()

    def _searched(self) -> None:
        self._findings.show_findings(self.searching.findings)
        self._look()

    def _why_not(self) -> str:
        if self._session.link is not Link.READY:
            return self.tr("There is no connection with the daemon.")
        if self.work.is_running:
            return self.tr("Something else is under way.")
        return ""

    def _offer(self) -> None:
        why_not = self._why_not()
        entry = self._table.entry
        self._buttons.show_entry(entry, self._session.settings, why_not)
        self._naming.allow(why_not)
        note = self._note_on(entry)
        self._note.setText(note)
        self._note.setVisible(bool(note))
        self._note_icon.setVisible(bool(note))

    def _note_on(self, entry: Entry | None) -> str:
        if entry is None or not entry.note:
            return ""
        words = self.tr("{name} is never attached: {reason}")
        return words.format(name=cut(entry.name, 100), reason=cut(entry.note))

    def _act(self, action: Action) -> None:
        entry = self._table.entry
        if entry is None:
            return
        if action is Action.EXAMINE:
            self.examined.emit(entry.name)
        elif action is Action.STOP:
            self._ask_to_stop(entry)
        else:
            self._begin(action, entry.name)

    def _begin(self, action: Action, name: str) -> None:
        if self._why_not():
            return
        is_ours = has_focus(self)
        self.work.begin(action, name)
        if is_ours:
            self.activity.take_focus()

    def _work_changed(self) -> None:
        if not self.work.is_running and has_focus(self.activity):
            self._table.setFocus()
        self._offer()

    def _worked(self, name: str) -> None:
        self.searching.begin()
        self._table.select(name)

    def _ask_to_stop(self, entry: Entry) -> None:
        rows = self._session.rows.values()
        self._dialog = StopDialog(entry.name, entry.kind, rows, self.window())
        self._dialog.accepted.connect(lambda: self._begin(Action.STOP, entry.name))
        self._dialog.finished.connect(self._answered)
        self._dialog.open()

    def _answered(self) -> None:
        self._dialog = None

    def _link_changed(self) -> None:
        if self._session.link is not Link.READY and self._dialog is not None:
            self._dialog.reject()
        self._offer()
