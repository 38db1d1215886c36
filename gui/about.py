"""The page About: version, licence, what else is in it, where to read on, details for a report.

Rules: nothing is fetched and nothing is opened: addresses are text to be read or copied. Details
for a report hold no names of ports, containers or machines, for they are pasted in public.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Final

import PySide6
from PySide6.QtCore import QSysInfo, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop.api.local import VERSION
from desktop.api.types import Status
from gui.parts import CopyButton, Heading, Hint, IconLabel, PlainLabel, scrolled
from gui.session import Link, Session

__all__ = ["AboutPage", "details"]

LICENCE: Final = "Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0)"
QT_LICENCE: Final = "https://www.gnu.org/licenses/lgpl-3.0.html"
QT_SOURCE: Final = "https://download.qt.io/official_releases/QtForPython/"

DOCUMENTS: Final = (
    "README.md",
    "docs/reference.md",
    "docs/machines.md",
    "docs/how-it-works.md",
    "CHANGELOG.md",
)

DESKTOP_VARIABLES: Final = ("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE")


def details(link: Link, status: Status | None, environment: Mapping[str, str]) -> str:
    """What somebody who is to help wants to know, a line each; always in English."""
    desktop = ", ".join(filter(None, (environment.get(name) for name in DESKTOP_VARIABLES)))
    lines = {
        "Samehost": VERSION,
        "System": f"{QSysInfo.prettyProductName()}, {QSysInfo.kernelType()} "
        f"{QSysInfo.kernelVersion()}, {QSysInfo.currentCpuArchitecture()}",
        "Desktop": f"{desktop or 'unknown'}, Qt platform {QGuiApplication.platformName()}",
        "Python": platform.python_version(),
        "Qt": f"{qVersion()}, PySide6 {PySide6.__version__}",
        "Daemon": f"{link.name.lower()}",
    }
    if link is Link.READY and status is not None:
        lines |= _of_daemon(status)
    return "\n".join(f"{name}: {text}" for name, text in lines.items()) + "\n"


def _of_daemon(status: Status) -> dict[str, str]:
    lock = ", locked" if status.enabled_locked else ""
    counts = [
        f"{count} {name}"
        for name in status.ports.__struct_fields__
        if (count := getattr(status.ports, name))
    ]
    lines = {
        "Daemon": f"version {status.version}, protocol {status.protocol}",
        "Host networking": ("on" if status.enabled else "off") + lock,
        "Ports": ", ".join(counts) or "none",
    }
    for number, machine in enumerate(status.machines, 1):
        known = (
            f"{machine.kind or 'machine'} {machine.state}",
            f"kernel {machine.kernel}" if machine.kernel else "",
            f"agent {machine.agent_version}" if machine.agent_version else "",
            f"over {machine.transport}" if machine.transport else "",
            f"watching by {machine.watcher}" if machine.watcher else "",
        )
        lines[f"Machine {number}"] = ", ".join(filter(None, known))
    return lines


class AboutPage(QWidget):
    """See the module."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("about-page")
        self._session = session
        layout = scrolled(self)
        layout.addLayout(self._head())
        layout.addWidget(
            PlainLabel(
                self.tr(
                    "Containers of a Linux machine, started with --net=host, appear on this "
                    "computer's localhost, and reach it."
                ),
                self,
            )
        )
        layout.addWidget(Heading(self.tr("Licence"), self, level=2))
        layout.addWidget(self._text(self.tr("Samehost: {name}.").format(name=LICENCE)))
        layout.addWidget(self._text(self._qt_notice()))
        layout.addWidget(Heading(self.tr("Documentation"), self, level=2))
        layout.addWidget(self._text(self.tr("On the command line: samehost --help")))
        layout.addWidget(
            self._text(self.tr("In the source: {files}").format(files=", ".join(DOCUMENTS)))
        )
        layout.addWidget(Heading(self.tr("Something is wrong?"), self, level=2))
        layout.addWidget(Hint(self.tr("Details hold no names of machines or containers."), self))
        button = CopyButton(self._details, self, label=self.tr("&Copy details for a bug report"))
        button.setObjectName("copy-details")
        layout.addWidget(button)
        layout.addStretch(1)
        session.statusChanged.connect(self._show)
        session.linkChanged.connect(self._show)
        self._show()

    def _head(self) -> QHBoxLayout:
        self._version = PlainLabel("", self, selectable=True)
        self._version.setObjectName("about-version")
        row = QHBoxLayout()
        row.addWidget(IconLabel("samehost", self, scale=2.6))
        row.addSpacing(self.fontMetrics().height() // 2)
        row.addWidget(Heading(self.tr("Samehost"), self))
        row.addWidget(self._version, 1)
        return row

    def _text(self, text: str) -> PlainLabel:
        return PlainLabel(text, self, selectable=True)

    def _qt_notice(self) -> str:
        words = self.tr(
            "The window uses Qt {qt} and PySide6 {pyside}, under the GNU Lesser General Public "
            "License, version 3 ({licence}). They are libraries of their own, which you may "
            "replace; their source: {source}"
        )
        return words.format(
            qt=qVersion(), pyside=PySide6.__version__, licence=QT_LICENCE, source=QT_SOURCE
        )

    def _show(self) -> None:
        status = self._session.status if self._session.link is Link.READY else None
        if status is not None and status.version != VERSION:
            words = self.tr("Version {own}; in the background: {daemon}")
        else:
            words = self.tr("Version {own}")
        daemon = status.version if status is not None else ""
        self._version.setText(words.format(own=VERSION, daemon=daemon))

    def _details(self) -> str:
        return details(self._session.link, self._session.status, os.environ)
