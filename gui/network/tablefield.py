"""A list of rules as a part of the page: the table, its buttons, and which row is wrong.

Rules: a locked list can be read and copied, but not changed. Counterparts: `table.py`, `model.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from gui import icons
from gui.network.draft import SettingState
from gui.network.fields import Field
from gui.network.model import Column, RuleModel
from gui.network.rules import RuleForm
from gui.network.table import RuleTable
from gui.parts import Heading, Hint, plain

__all__ = ["TableField"]

LONGEST_DESCRIPTION: Final = 60
"""Characters of a list that are shown in a sentence."""


class TableField(Field):
    """A list of rules that are added, edited and removed in place."""

    def __init__(
        self,
        form: RuleForm,
        title: str,
        words: str,
        empty: str,
        columns: Sequence[Column],
        parent: QWidget,
    ) -> None:
        super().__init__(form.key, title, parent)
        self._form = form
        self._model = RuleModel(form, columns, self)
        self._model.edited.connect(lambda: self.edited.emit(self._model.value()))
        self._table = RuleTable(self._model, empty, self)
        self._table.setObjectName(f"{form.key}-table")
        self._table.setAccessibleName(self.title)
        self._table.setToolTip(f"{words} {self._keys()}")
        self._table.selected.connect(self._show_what_can_be_done)
        heading = Heading(title, self, level=2)
        heading.setBuddy(self._table)
        table = self._table
        self._add = self._button("add", self.tr("Add"), table.add)
        self._edit = self._button("edit", self.tr("Edit"), table.edit_current)
        self._remove = self._button("remove", self.tr("Remove"), table.remove_selected)
        self.lay_out(heading, Hint(words, self), self._table, self._buttons())
        self._show_what_can_be_done()

    # As a field

    def show_value(self, value: object) -> None:
        """See `Field`."""
        self._model.show_value(value)

    def describe(self, value: object) -> str:
        """See `Field`."""
        text = ", ".join(map(self._form.text, self._form.rows(value)))
        if len(text) > LONGEST_DESCRIPTION:
            text = text[:LONGEST_DESCRIPTION] + "…"
        return plain(text) or self.tr("an empty list")

    def control(self) -> QWidget:
        """See `Field`."""
        return self._table

    def controls(self) -> Sequence[QWidget]:
        """See `Field`. The table is always enabled, so that it can be read."""
        return []

    def show_state(self, state: SettingState, lock: str, action: str = "") -> None:
        """See `Field`."""
        self._table.set_read_only(bool(state.locked))
        super().show_state(state, lock, action)
        self._show_what_can_be_done()

    def impossible(self) -> str:
        """See `Field`: two rows of one name cannot be sent."""
        twin = self._model.twin()
        if twin is None:
            return ""
        return self.tr("{rule} is there twice. Remove one of them.").format(
            rule=plain(self._model.text(twin))
        )

    def show_error(self, error: str) -> None:
        """See `Field`: at the row, too."""
        super().show_error(error)
        self._model.show_wrong(self._wrong_row(error), error, self._warning())

    def focus_error(self) -> None:
        """See `Field`: the row that is wrong is selected."""
        row = self._wrong_row(self.notes.error.text)
        if row is not None:
            self._table.select(row)
        super().focus_error()

    def forget(self) -> None:
        """See `Field`."""
        self._model.clear()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.show_error(self.notes.error.text)

    # Within

    def _keys(self) -> str:
        return QCoreApplication.translate(
            "TableField",
            "Insert adds a row, F2 edits it, Delete removes it. Rows can be copied and pasted as"
            " text.",
        )

    def _button(self, name: str, text: str, act: Callable[[], None]) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(f"{self.key}-{name}")
        button.setAccessibleName(f"{self.title}: {text}")
        button.setToolTip(self._keys())
        button.setAccessibleDescription(self._keys())
        if name in icons.NAMES:
            icons.keep(button, name, role=QPalette.ColorRole.ButtonText)
        button.clicked.connect(lambda: act())
        return button

    def _buttons(self) -> QWidget:
        box = QWidget(self)
        layout = QHBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self._add, self._edit, self._remove):
            layout.addWidget(button)
        layout.addStretch(1)
        return box

    def _show_what_can_be_done(self) -> None:
        is_open = not self._table.is_read_only
        chosen = bool(self._table.selected_rows())
        self._add.setEnabled(is_open)
        self._edit.setEnabled(is_open and chosen)
        self._remove.setEnabled(is_open and chosen)

    def _wrong_row(self, error: str) -> int | None:
        if not error:
            return None
        return self._model.twin() if error == self.impossible() else self._model.row_of(error)

    def _warning(self) -> QIcon:
        return icons.icon("warning", self.palette(), QPalette.ColorRole.Text)
