"""The buttons for the machine that is selected in the table: what can be done with it now.

Rules: a button that makes no sense is disabled and its tool tip says why. Nothing is done here.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from desktop.api.types import SettingInfo
from gui.machine.entries import Action, Entry, obstacle
from gui.parts import plain

__all__ = ["ActionButtons"]

translate = QCoreApplication.translate


def _texts() -> dict[Action, tuple[str, str, str]]:
    """Object name, what the button says, what it does."""
    return {
        Action.USE: (
            "use",
            translate("MachineActions", "&Use"),
            translate("MachineActions", "Make it the current machine, in the place of that one"),
        ),
        Action.ATTACH: (
            "attach",
            translate("MachineActions", "Attach &beside"),
            translate("MachineActions", "Attach it too, beside those in use"),
        ),
        Action.DETACH: (
            "detach",
            translate("MachineActions", "&Detach"),
            translate("MachineActions", "End its ports here; the machine runs on"),
        ),
        Action.START: (
            "start",
            translate("MachineActions", "&Start"),
            translate("MachineActions", "Start the machine without attaching it"),
        ),
        Action.STOP: (
            "stop",
            translate("MachineActions", "St&op…"),
            translate("MachineActions", "Stop the machine with all its containers"),
        ),
        Action.EXAMINE: (
            "examine-machine",
            translate("MachineActions", "E&xamine"),
            translate("MachineActions", "Look at the way to this machine, step by step"),
        ),
    }


class ActionButtons(QWidget):
    """See the module. `wanted` when one is pressed."""

    wanted = Signal(Action)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: dict[Action, QPushButton] = {}
        self._described: dict[Action, str] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for action, (name, text, described) in _texts().items():
            button = QPushButton(text, self)
            button.setObjectName(name)
            button.setAccessibleName(text.replace("&", ""))
            button.clicked.connect(lambda _=False, action=action: self.wanted.emit(action))
            self._buttons[action] = button
            self._described[action] = described
            column.addWidget(button)
            if action is Action.DETACH:
                column.addSpacing(self.fontMetrics().height() // 2)
        column.addStretch(1)

    def show_entry(
        self, entry: Entry | None, settings: Mapping[str, SettingInfo], why_not: str
    ) -> None:
        """Offer what can be done with that machine. `why_not`: nothing but looking can be."""
        for action, button in self._buttons.items():
            reason = self._reason(action, entry, settings, why_not)
            words = plain(reason) or self._described[action]
            button.setEnabled(not reason)
            button.setToolTip(words)
            button.setAccessibleDescription(words)

    def is_offered(self, action: Action) -> bool:
        """It can be pressed."""
        return self._buttons[action].isEnabled()

    def _reason(
        self,
        action: Action,
        entry: Entry | None,
        settings: Mapping[str, SettingInfo],
        why_not: str,
    ) -> str:
        if entry is None:
            return self.tr("No machine is selected.")
        if why_not and action is not Action.EXAMINE:
            return why_not
        return obstacle(action, entry, settings)
