"""What can be done with the rows that are selected: actions for buttons, menus and keys alike.

Rules: an action that cannot be done is disabled, and its tip says why. Nothing is done here that
the daemon must decide. Only http and https addresses that `addresses.py` built are opened.
Counterparts: `ignoring.py` changes the list; `page.py` shows the actions and what came of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QAction, QDesktopServices, QKeySequence, QPalette
from PySide6.QtWidgets import QPushButton, QWidget

from desktop.api.types import PortRow
from gui import icons
from gui.parts import announce, copy_text, plain
from gui.ports.addresses import address_to_copy, browser_url
from gui.ports.ignoring import IgnoreChange, IgnoreList, rule_for, rules_that_mean

__all__ = ["ActionButton", "PortActions"]

REMAP: Final = "remap"
IGNORE: Final = "ignore"


class PortActions(QObject):
    """The actions.

    Signals:
        settingWanted: the name of the setting that is asked for.
        unopened: the address that no browser could be found for.
    """

    settingWanted = Signal(str)  # noqa: N815 (as Qt names signals)
    unopened = Signal(str)

    def __init__(self, ignore_list: IgnoreList, parent: QWidget) -> None:
        super().__init__(parent)
        self._widget = parent
        self._list = ignore_list
        self._rows: Sequence[PortRow] = ()
        self._icons: dict[QAction, str] = {}
        self.copy = self._action("copy", "copy", self.tr("Copy &address"), self._copy)
        self.copy.setShortcut(QKeySequence.StandardKey.Copy)
        self.browse = self._action("browse", "open", self.tr("&Open in browser"), self._browse)
        self.browse.setShortcut(QKeySequence("Ctrl+O"))
        self.ignore = self._action("ignore", "ignored", self.tr("&Ignore this port"), self._ignore)
        self.ignore.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        self.unignore = self._action(
            "unignore", "active", self.tr("Stop &ignoring"), self._unignore
        )
        self.setting = self._action("setting", "network", self.tr("&Go to the setting"), self._go)
        self.all = (self.copy, self.browse, self.ignore, self.unignore, self.setting)
        ignore_list.changed.connect(self._refresh)
        self._refresh()

    def show_rows(self, rows: Sequence[PortRow]) -> None:
        """Be about these rows, the current one first."""
        self._rows = rows
        self._refresh()

    def draw(self, palette: QPalette) -> None:
        """Draw the icons in the colours of a palette."""
        for action, name in self._icons.items():
            action.setIcon(icons.icon(name, palette, QPalette.ColorRole.ButtonText))

    @property
    def obstacle(self) -> str:
        """Why ports cannot be ignored here, "" if they can."""
        if self._list.locked:
            why = plain(self._list.locked)
            return self.tr("Ignored ports cannot be changed: {why}").format(why=why)
        return ""

    def _action(self, name: str, icon: str, text: str, act: object) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(act)
        self._icons[action] = icon
        return action

    def _refresh(self) -> None:
        self._refresh_copy()
        self._refresh_browse()
        self._refresh_ignore()
        tip = self.tr("Show where this is set, on the page Network")
        _allow(self.setting, bool(self._rows), tip)

    def _refresh_copy(self) -> None:
        nothing = self.tr("Select a port first")
        first = address_to_copy(self._rows[0]) if self._rows else ""
        if len(self._rows) > 1:
            tip = self.tr("Copy %n address(es), one a line", "", len(self._rows))
        else:
            tip = self.tr("Copy {address}").format(address=first) if first else nothing
        _allow(self.copy, bool(self._rows), tip)

    def _refresh_browse(self) -> None:
        url = browser_url(self._rows[0]) if self._rows else ""
        opens = self.tr("Open {url}").format(url=url)
        _allow(
            self.browse, bool(url), opens if url else self.tr("Only active TCP ports can be opened")
        )

    def _refresh_ignore(self) -> None:
        unignored, ignored = self._to_unignore(), self._to_ignore()
        is_about_ignored = bool(self._rows) and all(row.state == "ignored" for row in self._rows)
        self.unignore.setVisible(is_about_ignored)
        self.ignore.setVisible(not is_about_ignored)
        can = self._list.is_known and not self._list.is_busy and not self._list.locked
        rules = ", ".join(unignored) or ", ".join(ignored)
        tip = self.obstacle
        if is_about_ignored:
            by_itself = self.tr("Samehost leaves this port alone by itself, not by a rule of yours")
            took = self.tr("Take {rules} out of the ignored ports").format(rules=rules)
            _allow(
                self.unignore, can and bool(unignored), tip or (took if unignored else by_itself)
            )
        else:
            select = self.tr("Select a port first")
            adds = self.tr("Add {rules} to the ignored ports").format(rules=rules)
            _allow(self.ignore, can and bool(ignored), tip or (adds if ignored else select))

    def _to_ignore(self) -> list[str]:
        rules = [rule_for(row) for row in self._rows if row.state != "ignored"]
        return list(dict.fromkeys(rules))

    def _to_unignore(self) -> list[str]:
        known = self._list.rules
        rules = [
            rule
            for row in self._rows
            if row.state == "ignored"
            for rule in rules_that_mean(known, row)
        ]
        return list(dict.fromkeys(rules))

    def _setting(self) -> str:
        """Which setting the current row hangs on."""
        if self._rows and self._rows[0].origin == "machine":
            return IGNORE if self._rows[0].state in ("active", "ignored") else REMAP
        return IGNORE

    def _copy(self) -> None:
        if self._rows:
            copy_text("\n".join(map(address_to_copy, self._rows)))
            announce(self._widget, self.tr("Copied"))

    def _browse(self) -> None:
        url = browser_url(self._rows[0])
        if not QDesktopServices.openUrl(QUrl(url)):
            self.unopened.emit(url)

    def _ignore(self) -> None:
        self._list.make(IgnoreChange(added=tuple(self._to_ignore())))

    def _unignore(self) -> None:
        self._list.make(IgnoreChange(removed=tuple(self._to_unignore())))

    def _go(self) -> None:
        self.settingWanted.emit(self._setting())


def _allow(action: QAction, allowed: bool, tip: str) -> None:
    """The tip is plain in the status tip, and HTML that shows it as it is in the tool tip."""
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    action.setEnabled(allowed)
    action.setStatusTip(tip)
    action.setToolTip(f"<p>{escape(tip)} ({keys})</p>" if keys else f"<p>{escape(tip)}</p>")


class ActionButton(QPushButton):
    """A button that is as its action is: text with mnemonic, icon, tip, enabled, there or not."""

    def __init__(self, action: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action = action
        self.setObjectName(action.objectName())
        self.setAutoDefault(False)
        self.clicked.connect(action.trigger)
        action.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        action = self._action
        self.setText(action.text())
        self.setIcon(action.icon())
        self.setEnabled(action.isEnabled())
        self.setVisible(action.isVisible())
        self.setToolTip(action.toolTip())
        self.setAccessibleDescription(action.statusTip())
