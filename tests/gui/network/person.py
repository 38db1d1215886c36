"""What a person does with the Network page, and sees of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtWidgets import QCheckBox, QLabel, QPushButton, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from gui.network.notes import Note
from gui.network.page import NetworkPage
from gui.network.table import RuleTable

__all__ = ["Person"]

Kind = TypeVar("Kind", bound=QWidget)


class Person:
    """Somebody before the page. `bot` waits for them."""

    def __init__(self, page: NetworkPage, bot: QtBot) -> None:
        self.page = page
        self.bot = bot

    def find(self, kind: type[Kind], name: str) -> Kind:
        """A widget by its name."""
        found = self.page.findChild(kind, name)
        assert isinstance(found, kind), name
        return found

    def box(self, key: str) -> QCheckBox:
        """The check box of a setting."""
        return self.find(QCheckBox, f"{key}-control")

    def number(self, key: str) -> QSpinBox:
        """The number of a setting."""
        return self.find(QSpinBox, f"{key}-control")

    def table(self, key: str) -> RuleTable:
        """The table of a setting."""
        return self.find(RuleTable, f"{key}-table")

    def button(self, name: str) -> QPushButton:
        """A button."""
        return self.find(QPushButton, name)

    def words(self, name: str) -> str:
        """What a note or label says, "" if it cannot be seen."""
        shown = self.page.findChild(QWidget, name)
        assert isinstance(shown, Note | QLabel), name
        words = shown.text if isinstance(shown, Note) else shown.text()
        return words if shown.isVisibleTo(self.page) else ""

    def marked(self) -> list[str]:
        """The settings that are marked as not applied."""
        keys = [each.objectName() for each in self.page.findChildren(QWidget)]
        marks = [key.removesuffix("-mark") for key in keys if key.endswith("-mark")]
        return [key for key in marks if self.words(f"{key}-mark")]

    def shown(self, key: str) -> list[list[str]]:
        """The cells of a table, as they are shown."""
        model = self.table(key).model()
        return [
            [str(model.index(row, column).data()) for column in range(model.columnCount())]
            for row in range(model.rowCount())
        ]

    def apply(self) -> None:
        """Press Apply, and wait until it is done."""
        self.press("apply")
        self.until(lambda: self.words("network-status") != "Applying…")

    def press(self, name: str) -> None:
        """Press a button that can be pressed."""
        assert self.button(name).isEnabled()
        self.button(name).click()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        self.bot.waitUntil(condition)
