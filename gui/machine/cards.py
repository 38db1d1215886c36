"""The machines in use, each with all that is known of it: state, way, watcher, kernel, engine.

Rules: shows what the session knows and asks for nothing; a card is kept as long as its machine is
there, so what is selected in it stays. Counterpart: `words.py` has the lines.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from desktop.api.types import MachineList, MachineStatus, Status
from gui.machine.entries import attached_machines
from gui.machine.words import Fact, cut, engine_command, facts, kind_word, state_icon, state_word
from gui.parts import CommandBox, Heading, Hint, IconLabel, PlainLabel, plain

__all__ = ["MachineCard", "MachineCards"]

LONGEST_NAME: Final = 120
COLUMNS: Final = 4
"""Of the grid: two things beside each other, each with its label."""


class MachineCard(QFrame):
    """One machine in use."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.setObjectName("machine-card")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self.setForegroundRole(QPalette.ColorRole.Text)
        self.setAutoFillBackground(True)
        self._icon = IconLabel("machine", self, scale=1.4)
        self._title = Heading(cut(name, LONGEST_NAME), self, level=2)
        self._title.setObjectName("card-name")
        self._kind = Hint("", self)
        self._kind.setObjectName("card-kind")
        self._state_icon = IconLabel("stop", self)
        self._state = PlainLabel("", self)
        self._state.setObjectName("card-state")
        self._state.setWordWrap(False)
        self._problem = PlainLabel("", self, selectable=True)
        self._problem.setObjectName("card-problem")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(self.fontMetrics().averageCharWidth() * 2)
        self._grid.setVerticalSpacing(self.fontMetrics().height() // 4)
        for column in (1, 3):
            self._grid.setColumnStretch(column, 1)
        self._rows: dict[str, _FactRow] = {}
        self._engine = CommandBox("", self, copy_label=self.tr("Copy"))
        self._engine.setObjectName("engine")
        self._engine_label = QLabel(self.tr("For the docker command:"), self)
        engine = QHBoxLayout()
        engine.addWidget(self._engine_label)
        engine.addWidget(self._engine, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(self._head())
        layout.addWidget(self._problem)
        layout.addLayout(self._grid)
        layout.addLayout(engine)

    @property
    def texts(self) -> dict[str, str]:
        """The lines by key, for those that are shown."""
        return {key: row.text.text() for key, row in self._rows.items()}

    @property
    def hints(self) -> dict[str, str]:
        """What is to be known with them."""
        return {key: row.hint.text() for key, row in self._rows.items() if row.hint.text()}

    @property
    def command(self) -> str:
        """The line for a terminal, "" if there is none."""
        return "" if self._engine.isHidden() else self._engine.command

    def show_machine(self, machine: MachineStatus, *, is_current: bool, version: str) -> None:
        """Show it as it is now; `version` is the daemon's."""
        kind = kind_word(machine.kind)
        place = self.tr("the current one") if is_current else self.tr("beside it")
        self._kind.setText(", ".join(word for word in (kind, place) if word))
        self._state_icon.show_icon(state_icon(machine.state))
        self._state.setText(state_word(machine.state))
        self._problem.setText(self._trouble(machine))
        self._problem.setVisible(bool(self._problem.text()))
        self._show_facts(facts(machine, version))
        command = engine_command(machine.docker_host)
        if command != self._engine.command:
            self._engine.show_command(command)
        self._engine.setVisible(bool(command))
        self._engine_label.setVisible(bool(command))
        self.setAccessibleName(plain(f"{cut(self.name, LONGEST_NAME)}: {self._state.text()}"))
        self.setAccessibleDescription(plain(f"{self._kind.text()}. {self._problem.text()}"))

    def _trouble(self, machine: MachineStatus) -> str:
        if machine.state == "failed":
            hint = self.tr("Use it again to try once more; Examine shows what is wrong.")
            return "\n".join(filter(None, [cut(machine.problem), hint]))
        if machine.problem:
            return cut(machine.problem)
        if machine.state == "stopped":
            return self.tr("It is not attached. Choose it, or another one, in the table below.")
        return ""

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        names = QGridLayout()
        names.setVerticalSpacing(0)
        names.addWidget(self._title, 0, 0)
        names.addWidget(self._kind, 1, 0)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(names, 1)
        row.addWidget(self._state_icon)
        row.addWidget(self._state)
        return row

    def _show_facts(self, shown: list[Fact]) -> None:
        if [fact.key for fact in shown] != list(self._rows):
            self._make_rows(shown)
        for fact in shown:
            self._rows[fact.key].show_fact(fact)

    def _make_rows(self, shown: list[Fact]) -> None:
        """Two beside each other, but for the wide ones."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._rows = {fact.key: _FactRow(self) for fact in shown}
        line, column = 0, 0
        for fact in shown:
            label = QLabel(fact.label + ":", self)
            if column and fact.is_wide:
                line, column = line + 1, 0
            self._grid.addWidget(label, line, column, Qt.AlignmentFlag.AlignTop)
            span = 3 if fact.is_wide else 1
            self._grid.addWidget(self._rows[fact.key], line, column + 1, 1, span)
            column += 2
            if column >= COLUMNS or fact.is_wide:
                line, column = line + 1, 0


class _FactRow(QWidget):
    """What is said of one thing, and below it what is to be known with that."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.text = PlainLabel("", self, selectable=True)
        self.hint = Hint("", self)
        self._icon = IconLabel("info", self)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(2, 1)
        grid.addWidget(self.text, 0, 0, 1, 2)
        grid.addWidget(self._icon, 1, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.hint, 1, 1)

    def show_fact(self, fact: Fact) -> None:
        """Show it, if it is another one."""
        if plain(fact.text, keep_lines=True) != self.text.text():
            self.text.setText(fact.text)
        if plain(fact.hint, keep_lines=True) != self.hint.text():
            self.hint.setText(fact.hint)
        self._icon.show_icon("warning" if fact.is_wrong else "info")
        self._icon.setVisible(bool(fact.hint))
        self.hint.setVisible(bool(fact.hint))


class MachineCards(QWidget):
    """One below the other: the current machine, then those attached beside it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cards: dict[str, MachineCard] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)

    @property
    def cards(self) -> list[MachineCard]:
        """What is shown, from top to bottom."""
        return list(self._cards.values())

    def show_status(self, status: Status | None, found: MachineList | None = None) -> None:
        """Show the machines in use as they are now."""
        machines = attached_machines(status, found)
        self._arrange([machine.name for machine in machines])
        for machine in machines:
            is_current = status is not None and machine.name == status.machine.name
            self._cards[machine.name].show_machine(
                machine, is_current=is_current, version=status.version if status else ""
            )
        self.setVisible(bool(machines))

    def _arrange(self, names: list[str]) -> None:
        if names == list(self._cards):
            return
        before, self._cards = self._cards, {}
        for name in names:
            self._cards[name] = before.pop(name) if name in before else MachineCard(name, self)
        for card in before.values():
            self._layout.removeWidget(card)
            card.hide()
            card.deleteLater()
        for place, card in enumerate(self._cards.values()):
            self._layout.insertWidget(place, card)
