"""The page General: starts and stops the daemon, says what it has counted, and the window's wishes.

Rules: stopping closes every mirror, so it asks first; it is the daemon's `shutdown`, whose words of
progress are shown. What the window itself may do is kept by `preferences.py`, not by the daemon.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QWidget,
)

from desktop.api.types import PortCounts, Status
from gui.machine.words import duration
from gui.parts import Heading, Hint, PlainLabel, data_size, describe_buttons, scrolled
from gui.preferences import PreferencesFile
from gui.session import Link, Problem, Session
from gui.tray import look_of

__all__ = ["GeneralPage"]


class GeneralPage(QWidget):
    """See the module."""

    def __init__(
        self, session: Session, preferences: PreferencesFile, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("general-page")
        self._session = session
        self._preferences = preferences
        self._question: QMessageBox | None = None
        self._is_stopping = False
        self._trouble = ""
        self._values: dict[str, PlainLabel] = {}
        layout = scrolled(self)
        layout.addWidget(Heading(self.tr("General"), self))
        layout.addLayout(self._daemon())
        self._counts = self._make_counts()
        layout.addWidget(self._counts)
        layout.addSpacing(self.fontMetrics().height())
        layout.addWidget(Heading(self.tr("This window"), self, level=2))
        for box in self._wishes():
            layout.addWidget(box)
        layout.addStretch(1)
        session.linkChanged.connect(self._show)
        session.statusChanged.connect(self._show)
        session.startTold.connect(self._told)
        preferences.changed.connect(self._show_wishes)
        self._show()
        self._show_wishes()

    # What is to be seen, once.

    def _daemon(self) -> QHBoxLayout:
        self._state = PlainLabel("", self)
        self._state.setObjectName("daemon-state")
        self._start = self._button("start-daemon", self.tr("&Start Samehost"))
        self._start.setToolTip(self.tr("Start it in the background, and connect to the machine"))
        self._start.clicked.connect(self._session.start_daemon)
        self._stop = self._button("stop-daemon", self.tr("S&top Samehost…"))
        self._stop.setToolTip(self.tr("Close every port it holds open, and end it"))
        self._stop.clicked.connect(self.ask_to_stop)
        for button in (self._start, self._stop):
            button.setAccessibleDescription(button.toolTip())
        row = QHBoxLayout()
        row.addWidget(self._state, 1)
        row.addWidget(self._start)
        row.addWidget(self._stop)
        return row

    def _make_counts(self) -> QWidget:
        counts = QWidget(self)
        counts.setObjectName("counts")
        form = QFormLayout(counts)
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(self.fontMetrics().height())
        names = {
            "uptime": self.tr("Running for"),
            "ports": self.tr("Ports"),
            "flows": self.tr("Connections"),
            "bytes": self.tr("Carried so far"),
            "version": self.tr("Version"),
        }
        for key, name in names.items():
            value = PlainLabel("", counts, selectable=True)
            value.setObjectName(f"general-{key}")
            value.setAccessibleName(name)
            self._values[key] = value
            form.addRow(PlainLabel(name, counts), value)
        return counts

    def _wishes(self) -> list[QWidget]:
        self._boxes = {
            "start_daemon": self._wish(
                "start-with-window",
                self.tr("Start Samehost &with this window"),
                self.tr("If it does not run when the window is opened"),
            ),
            "notifications": self._wish(
                "notifications",
                self.tr("&Notify me when a port cannot be opened"),
                self.tr("Once for each trouble, from the icon in the tray"),
            ),
            "close_to_tray": self._wish(
                "close-to-tray",
                self.tr("Keep the icon in the t&ray when closed"),
                self.tr("Where the desktop has no tray, closing the window quits it"),
            ),
        }
        for key, box in self._boxes.items():
            box.toggled.connect(partial(self._wished, key))
        hint = Hint(
            self.tr(
                "The last two need a desktop that shows icons in a tray. Without the window, and "
                "without the icon, Samehost goes on in the background until it is stopped."
            ),
            self,
        )
        return [*self._boxes.values(), hint]

    def _wish(self, name: str, text: str, description: str) -> QCheckBox:
        box = QCheckBox(text, self)
        box.setObjectName(name)
        box.setAccessibleDescription(description)
        box.setToolTip(description)
        return box

    def _wished(self, key: str, is_on: bool) -> None:
        self._preferences.change(**{key: is_on})

    def _button(self, name: str, text: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        return button

    # What the person does.

    def ask_to_stop(self) -> None:
        """Ask, and stop the daemon if that is meant."""
        if self._question is not None:
            return
        box = self._question = QMessageBox(self)
        box.setObjectName("stop-question")
        box.setIcon(QMessageBox.Icon.Warning)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(self.tr("Stop Samehost"))
        box.setText(self.tr("Stop Samehost?"))
        box.setInformativeText(self._what_stops())
        stop = box.addButton(self.tr("&Stop"), QMessageBox.ButtonRole.DestructiveRole)
        stop.setObjectName("stop")
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        describe_buttons(box)
        box.finished.connect(lambda _: self._answered(box.clickedButton() is stop))
        box.open()

    def _what_stops(self) -> str:
        status = self._session.status
        open_ports = status.ports.active if status else 0
        flows = status.flows.tcp + status.flows.udp if status else 0
        words = [self.tr("%n open port(s) will be closed.", "", open_ports)]
        if flows:
            words.append(self.tr("%n connection(s) through them will end.", "", flows))
        words.append(self.tr("A sandbox that Samehost started stops, with its containers."))
        return " ".join(words)

    def _answered(self, is_meant: bool) -> None:
        if self._question is not None:
            self._question.deleteLater()
            self._question = None
        if not is_meant or self._is_stopping:
            return
        self._is_stopping, self._trouble = True, ""
        self._told(self.tr("Stopping…"))
        self._show()
        self._session.call(
            "shutdown", then=self._stopped, fails=self._not_stopped, progress=self._told
        )

    def _stopped(self, _: Any) -> None:
        self._is_stopping = False
        self._show()

    def _not_stopped(self, problem: Problem) -> None:
        self._is_stopping = False
        self._trouble = "\n".join(filter(None, [problem.message, problem.remedy]))
        self._show()

    def _told(self, line: str) -> None:
        if self._is_stopping or self._session.link is Link.STARTING:
            self._state.setText(line)

    # What is to be seen, now.

    def _show(self) -> None:
        link, status = self._session.link, self._session.status
        known = status if link is Link.READY else None
        self._start.setVisible(link in (Link.ABSENT, Link.STARTING))
        self._start.setEnabled(link is Link.ABSENT)
        self._stop.setVisible(link not in (Link.ABSENT, Link.STARTING))
        self._stop.setEnabled(known is not None and not self._is_stopping)
        if known is None:
            self._trouble = ""
        if not self._is_stopping:
            self._state.setText(self._trouble or look_of(link, status)[1] + ".")
        self._counts.setVisible(known is not None)
        for key, text in (self._texts(known) if known is not None else {}).items():
            self._values[key].setText(text)

    def _texts(self, status: Status) -> dict[str, str]:
        locale = self.locale()
        flows = self.tr("{tcp} TCP, {udp} UDP").format(
            tcp=locale.toString(status.flows.tcp), udp=locale.toString(status.flows.udp)
        )
        carried = self.tr("{incoming} to this computer's programs, {outgoing} from them").format(
            incoming=data_size(status.bytes.in_),
            outgoing=data_size(status.bytes.out),
        )
        return {
            "uptime": duration(status.uptime_s),
            "ports": self._port_counts(status.ports) or self.tr("none"),
            "flows": flows,
            "bytes": carried,
            "version": status.version,
        }

    def _port_counts(self, ports: PortCounts) -> str:
        """How many are in which state, "" for none at all."""
        words = (
            (ports.active, self.tr("%n open", "", ports.active)),
            (ports.conflict, self.tr("%n in conflict", "", ports.conflict)),
            (ports.denied, self.tr("%n denied", "", ports.denied)),
            (ports.pending, self.tr("%n being opened", "", ports.pending)),
            (ports.paused, self.tr("%n paused", "", ports.paused)),
            (ports.ignored, self.tr("%n ignored", "", ports.ignored)),
        )
        return ", ".join(text for count, text in words if count)

    def _show_wishes(self) -> None:
        for key, box in self._boxes.items():
            box.setChecked(getattr(self._preferences.now, key))
