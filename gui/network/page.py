"""The page Network: the switch, and all that says what is shared and how.

Rules: nothing here is in force before Apply; what is not, is marked, and stays when the page is
left. A setting that nobody touched follows the daemon. An error is shown at the control that it
is about; what is wrong with the files of settings, above all of them. Counterparts: `draft.py`
decides what is shown, `settings.py` has the words.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QPalette, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.network.applying import Applier, Checker
from gui.network.draft import ISOLATION, Draft, SettingState
from gui.network.fields import Field
from gui.network.notes import Note
from gui.network.settings import fields_of
from gui.parts import Heading, Hint, PlainLabel, announce, scroll_area
from gui.session import Link, Session

__all__ = ["NetworkPage"]


class NetworkPage(QWidget):
    """See the module. `unsavedChanged` carries whether there is something to apply."""

    unsavedChanged = Signal(bool)  # noqa: N815 - as Qt names signals

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("network")
        self._session = session
        self._had_unsaved = False
        self._news = ""
        self._told_problems = ""
        self._scroll, self._content = scroll_area(self)
        self._fields = {field.key: field for field in fields_of(self._content)}
        self._draft = Draft(tuple(self._fields))
        self._checker = Checker(session, self)
        self._applier = Applier(session, self)
        self._failed: list[str] = []
        self._lost_focus: Field | None = None
        self._lay_out()
        self._connect()
        self._learn()

    @property
    def has_unsaved(self) -> bool:
        """There is something that is not applied."""
        return bool(self._unsaved())

    # What the daemon says

    def _learn(self) -> None:
        self._draft.learn(self._session.settings)
        self._show_all()

    def _link_changed(self) -> None:
        self._show_footer()
        self._show_problems()

    def _show_problems(self) -> None:
        """What is wrong with the files of settings, and where a broken one is kept."""
        status = self._session.status
        words = "\n".join(status.settings_problems) if status is not None else ""
        if words != self._told_problems:
            self._told_problems = words
            self._problems.tell(words)
            announce(self._problems, words)

    def _checked(self, key: str, value: object, error: str) -> None:
        before = self._draft.error(key)
        self._draft.mark_wrong(key, value, error)
        self._show(key)
        if self._draft.error(key) not in ("", before):
            announce(self._fields[key], error)

    # What the person does

    def _edited(self, key: str, value: object) -> None:
        self._news = ""
        self._draft.want(key, value)
        if self._fields[key].impossible() or key not in self._draft.unsaved:
            self._checker.forget(key)
        else:
            self._checker.check(key, value)
        self._show(key)
        self._show_footer()

    def show_setting(self, key: str) -> None:
        """Bring a setting before the eyes, and the keyboard to it; an unknown one is not heard."""
        field = self._fields.get(key)
        if field is not None:
            field.control().setFocus(Qt.FocusReason.OtherFocusReason)
            self._bring(field)

    def apply(self) -> None:
        """Apply what can be; what cannot stays as it is, and is pointed at."""
        if not self._can_apply():
            return
        self._news = ""
        impossible = [key for key, field in self._fields.items() if field.impossible()]
        self._failed = impossible
        self._checker.forget_all()
        self._applier.apply([each for each in self._draft.changes() if each[0] not in impossible])
        self._show_footer()

    def cancel(self) -> None:
        """Show what is in force."""
        self._news = ""
        self._checker.forget_all()
        for key in self._unsaved():
            self._fields[key].forget()
        self._draft.cancel()
        self._show_all()

    def _applied(self, key: str, value: object) -> None:
        self._draft.applied(key, value)
        self._show(key)
        self._show_footer()

    def _apply_failed(self, key: str, value: object, error: str) -> None:
        self._failed.append(key)
        self._draft.mark_wrong(key, value, error)
        self._show(key)

    def _done(self) -> None:
        failed = [key for key in self._fields if key in self._failed]
        if failed:
            self._news = self.tr("%n setting(s) could not be applied.", "", len(failed))
        elif not self._unsaved():
            self._news = self.tr("Applied. Nothing was restarted.")
        self._show_footer()
        announce(self._status, self._news)
        if failed:
            field = self._fields[failed[0]]
            field.focus_error()
            self._bring(field)
            self._bring(field.notes)

    def _show_isolation(self) -> None:
        self.show_setting(ISOLATION)

    def _bring(self, part: QWidget) -> None:
        """Scroll to a part of the page."""
        layout = self._content.layout()
        if layout is not None:
            layout.activate()  # the notes may just have grown
        self._content.adjustSize()
        self._scroll.ensureWidgetVisible(part)

    # What is to be seen

    def _show_all(self) -> None:
        for key in self._fields:
            self._show(key)
        self._show_footer()

    def _show(self, key: str) -> None:
        field = self._fields[key]
        field.setEnabled(self._draft.is_known(key))
        if self._draft.is_known(key):
            state = self._draft.state(key)
            can_end = state.lock == "isolation" and not self._draft.state(ISOLATION).locked
            action = self.tr("Show that setting") if can_end else ""
            field.show_state(state, self._lock(state), action)

    def _lock(self, state: SettingState) -> str:
        """Who locked a setting, and why: our words first, then the daemon's."""
        if not state.locked:
            return ""
        if state.lock == "isolation":
            return self._isolation_words()
        first = {
            "administrator": self.tr("Only the administrator of this computer can change this."),
            "engine": self.tr(
                "Host networking is for Linux containers only. Switch the engine to Linux"
                " containers and attach it again, or use another machine."
            ),
        }.get(state.lock, self.tr("This cannot be changed."))
        return f"{first}\n{state.locked}"

    def _isolation_words(self) -> str:
        if self._draft.state(ISOLATION).locked:
            return self.tr(
                "Host networking is off while Enhanced Container Isolation is on, which only the"
                " administrator of this computer can turn off."
            )
        return self.tr(
            "Host networking is off while Enhanced Container Isolation is on. To use it, turn that"
            " off below, and apply."
        )

    def _show_footer(self) -> None:
        unsaved = self._unsaved()
        self._enable_content(self._session.link is Link.READY)
        self._apply.setEnabled(self._can_apply())
        self._cancel.setEnabled(bool(unsaved) and not self._applier.is_busy)
        self._status.setText(self._status_words(unsaved))
        if bool(unsaved) != self._had_unsaved:
            self._had_unsaved = bool(unsaved)
            self.unsavedChanged.emit(self._had_unsaved)

    def _enable_content(self, is_ready: bool) -> None:
        """Grey it out while the daemon is away; the focus comes back with the daemon."""
        if is_ready == self._content.isEnabled():
            return
        if not is_ready:
            self._lost_focus = self._focused()
        self._content.setEnabled(is_ready)
        if is_ready and self._lost_focus is not None:
            self._lost_focus.control().setFocus(Qt.FocusReason.OtherFocusReason)
            self._lost_focus = None

    def _focused(self) -> Field | None:
        """The setting that has the focus. What has it there may be a cell's editor, gone soon."""
        widget = QApplication.focusWidget()
        if widget is None:
            return None
        return next((each for each in self._fields.values() if each.isAncestorOf(widget)), None)

    def _status_words(self, unsaved: list[str]) -> str:
        if self._applier.is_busy:
            return self.tr("Applying…")
        words = [self._news]
        if unsaved:
            titles = ", ".join(self._fields[key].title for key in unsaved)
            words.append(self.tr("Not applied yet: {settings}.").format(settings=titles))
        return " ".join(filter(None, words))

    def _can_apply(self) -> bool:
        is_ready = self._session.link is Link.READY
        return is_ready and not self._applier.is_busy and bool(self._unsaved())

    def _unsaved(self) -> list[str]:
        unsaved = self._draft.unsaved
        return [key for key, field in self._fields.items() if key in unsaved or field.impossible()]

    # Once

    def _connect(self) -> None:
        self._session.settingsChanged.connect(self._learn)
        self._session.statusChanged.connect(self._show_problems)
        self._session.linkChanged.connect(self._link_changed)
        self._checker.checked.connect(self._checked)
        self._applier.applied.connect(self._applied)
        self._applier.failed.connect(self._apply_failed)
        self._applier.done.connect(self._done)
        for key, field in self._fields.items():
            field.edited.connect(partial(self._edited, key))
            field.notes.lock.acted.connect(self._show_isolation)
        self._apply.clicked.connect(self.apply)
        self._cancel.clicked.connect(self.cancel)
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Save), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.apply)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self._content)
        column.addWidget(Heading(self.tr("Network"), self._content))
        self._problems = Note("network-problems", "warning", self._content)
        column.addWidget(self._problems)
        headings = {
            "udpIdleSeconds": self.tr("UDP"),
            ISOLATION: self.tr("Isolation"),
        }
        for key, field in self._fields.items():
            if key in headings:
                column.addWidget(Heading(headings[key], self._content, level=2))
            column.addWidget(field)
            column.addSpacing(self.fontMetrics().height() // 2)
        column.addWidget(
            Hint(self.tr("All settings: samehost settings list, in a terminal."), self._content)
        )
        column.addStretch(1)
        self._scroll.setObjectName("network-scroll")
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._scroll, 1)
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFrameShadow(QFrame.Shadow.Plain)
        line.setForegroundRole(QPalette.ColorRole.Mid)
        page.addWidget(line)
        page.addWidget(self._footer())

    def _footer(self) -> QWidget:
        footer = QWidget(self)
        self._status = PlainLabel("", footer)
        self._status.setObjectName("network-status")
        promise = Hint(
            self.tr("Changes apply at once: no container and no engine is restarted."), footer
        )
        self._cancel = self._button("cancel", self.tr("&Cancel"), self.tr("Take changes back"))
        self._apply = self._button("apply", self.tr("&Apply"), self.tr("Put changes into force"))
        buttons = QHBoxLayout()
        buttons.addWidget(self._status, 1)
        buttons.addWidget(self._cancel, 0, Qt.AlignmentFlag.AlignBottom)
        buttons.addWidget(self._apply, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(footer)
        layout.addWidget(promise)
        layout.addLayout(buttons)
        return footer

    def _button(self, name: str, text: str, words: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(words)
        button.setAccessibleName(text.replace("&", ""))
        button.setAccessibleDescription(words)
        return button
