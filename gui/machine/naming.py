"""Chooses a machine that no tool knows, by its name: a computer that is reached by SSH.

Rules: says at once what is wrong with the form; whether there is such a computer, the daemon says.
Counterpart: `entries.typed_name`.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QPushButton, QWidget

from gui.machine.entries import Action, typed_name
from gui.parts import Hint

__all__ = ["Naming"]

LONGEST_NAME: Final = 300
EXAMPLE: Final = "ssh:ada@build.example.org:22"


class Naming(QWidget):
    """See the module. `wanted` with what to do and the name, when a button is pressed."""

    wanted = Signal(Action, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._why_not = ""
        self._field = QLineEdit(self)
        self._field.setObjectName("machine-name")
        self._field.setMaxLength(LONGEST_NAME)
        self._field.setPlaceholderText(EXAMPLE)
        self._field.setClearButtonEnabled(True)
        self._field.setAccessibleName(self.tr("Name of a machine"))
        label = QLabel(self.tr("By &name:"), self)
        label.setBuddy(self._field)
        self._use = self._button("use-name", self.tr("Us&e it"), Action.USE)
        self._attach = self._button("attach-name", self.tr("Attach &it beside"), Action.ATTACH)
        self._hint = Hint("", self)
        self._hint.setObjectName("name-hint")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self._field, 0, 1, 1, 3)
        grid.addWidget(self._hint, 1, 1, 1, 3)
        grid.addWidget(self._use, 2, 2)
        grid.addWidget(self._attach, 2, 3)
        self._field.textChanged.connect(self._look)
        self._field.returnPressed.connect(self._use.click)
        self._look()

    def allow(self, why_not: str) -> None:
        """Offer it, or say why not."""
        self._why_not = why_not
        self._look()

    def _button(self, name: str, text: str, action: Action) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setAccessibleName(text.replace("&", ""))
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self.wanted.emit(action, typed_name(self._field.text())[0]))
        return button

    def _look(self) -> None:
        name, wrong = typed_name(self._field.text())
        usual = self.tr("A computer that you reach by SSH: user@host or user@host:port")
        meant = self.tr("This is the machine {}").format(name) if name else ""
        self._hint.setText(wrong or meant or usual)
        self._field.setAccessibleDescription(self._hint.text())
        reason = wrong or self._why_not or ("" if name else usual)
        for button, words in (
            (self._use, self.tr("Make it the current machine, in the place of that one")),
            (self._attach, self.tr("Attach it too, beside those in use")),
        ):
            button.setEnabled(not reason)
            button.setToolTip(reason or words)
            button.setAccessibleDescription(button.toolTip())
