"""Asks before a machine is stopped, and says what stops with it."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from desktop.api.types import PortRow
from gui.machine.words import cut
from gui.parts import plain

__all__ = ["StopDialog", "what_stops"]

translate = QCoreApplication.translate


def what_stops(name: str, kind: str, rows: Iterable[PortRow]) -> list[str]:
    """What goes with the machine, a sentence each."""
    own = [row for row in rows if row.machine == name]
    ports = sum(row.state == "active" and row.origin == "machine" for row in own)
    flows = sum(row.flows for row in own)
    lines = [translate("StopDialog", "All its containers stop.")]
    if ports:
        lines.append(translate("StopDialog", "%n port(s) on this computer close.", "", ports))
    if flows:
        lines.append(translate("StopDialog", "%n connection(s) end.", "", flows))
    if kind == "sandbox":
        lines.append(
            translate(
                "StopDialog", "A sandbox goes with all that is in it, images and volumes, too."
            )
        )
    return lines


class StopDialog(QMessageBox):
    """See the module. Accepted only by its button; what Return or Escape press is Cancel."""

    def __init__(self, name: str, kind: str, rows: Iterable[PortRow], parent: QWidget) -> None:
        super().__init__(parent)
        kinds = QMessageBox.StandardButton
        self.setObjectName("ask-to-stop")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle(self.tr("Stop a machine"))
        self.setText(self.tr("Stop {}?").format(plain(cut(name, 100))))
        self.setInformativeText("\n".join(what_stops(name, kind, rows)))
        self.setStandardButtons(kinds.Cancel)
        self._stop = self.addButton(self.tr("&Stop it"), QMessageBox.ButtonRole.AcceptRole)
        self._stop.setObjectName("really-stop")
        described = {
            self._stop: self.tr("Stop the machine now"),
            self.button(kinds.Cancel): self.tr("Let it run"),
        }
        for button, words in described.items():
            button.setAccessibleName(button.text().replace("&", ""))
            button.setAccessibleDescription(words)
        cancel = self.button(kinds.Cancel)
        cancel.setObjectName("let-it-run")
        self.setDefaultButton(kinds.Cancel)
        self.setEscapeButton(kinds.Cancel)
