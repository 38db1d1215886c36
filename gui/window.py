"""The window: the list of pages on the left, the page beside it, and a banner above that.

    General · Resources ▸ Network · Ports · Machine · About

Rules: a page is a line in `pages.py`, made when it is shown first. What is wrong is told above
every page that does not tell it itself, with the one action that helps. Whether anybody can see the
window decides whether the port table is followed. Closed, it hides where there is something to come
back from (`may_hide`), else `quitted` is emitted. What is not applied is not lost unasked.
Counterparts: `app.py`, `pages.py`, `navigation.py`, `state_view.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QGuiApplication,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QPalette,
    QShortcut,
    QShowEvent,
    QWindow,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import icons
from gui.glance import Glance
from gui.navigation import Navigation
from gui.pages import PageKind
from gui.parts import Banner, describe_buttons
from gui.preferences import PreferencesFile, placed, room_on
from gui.session import Session
from gui.state_view import StateWatch
from gui.states import Action, action_text

__all__ = ["Window"]

USUAL_LETTERS: Final = QSize(160, 42)
LEAST_LETTERS: Final = QSize(80, 24)
"""Width and height of the window, in letters of its font."""

ENTER: Final = frozenset({Qt.Key.Key_Return, Qt.Key.Key_Enter})

QUIET: Final = frozenset({"no-ports"})
"""States that are not worth a banner: nothing is wrong."""


class Window(QWidget):
    """See the module.

    Signals:
        quitted: the end is wanted.
    """

    quitted = Signal()

    def __init__(
        self,
        session: Session,
        preferences: PreferencesFile,
        kinds: Sequence[PageKind],
        may_hide: Callable[[], bool],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("window")
        self.setWindowTitle(self.tr("Samehost"))
        self._session = session
        self._preferences = preferences
        self._may_hide = may_hide
        self._is_ending = False
        self._is_watched = False
        self._question: QMessageBox | None = None
        self._kinds = {kind.name: kind for kind in kinds}
        self._pages: dict[str, QWidget] = {}
        self._navigation = Navigation(kinds, self)
        self._banner = Banner(self)
        self._stack = QStackedWidget(self)
        self._watch = StateWatch(session, self)
        self._arrange()
        self._make_shortcuts()
        self._navigation.chosen.connect(self.show_page)
        self._banner.acted.connect(self._watch.act)
        self._watch.changed.connect(self._tell)
        self._watch.pageWanted.connect(self.show_page)
        icons.keep(self, "samehost", self.setWindowIcon)
        self._take_place()

    # What others ask of it.

    @property
    def page_name(self) -> str:
        """Which page is shown."""
        return next(name for name, page in self._pages.items() if page is self._shown())

    def page(self, name: str) -> QWidget:
        """A page; made when it is asked for the first time."""
        if name not in self._pages:
            page = self._pages[name] = self._kinds[name].make(self._session, self._stack)
            self._stack.addWidget(page)
            self._listen_to(page)
        return self._pages[name]

    def show_page(self, name: str) -> None:
        """Show a page; one that there is not is not heard."""
        if name not in self._kinds:
            return
        page = self.page(name)
        self._stack.setCurrentIndex(list(self._pages).index(name))
        self._navigation.show_chosen(name)
        self.setWindowTitle(self.tr("{page} · Samehost").format(page=self._kinds[name].title()))
        self._preferences.change(page=name)
        page.setAccessibleName(page.accessibleName() or self._kinds[name].title())
        self._tell()

    def raise_it(self) -> None:
        """Bring it before the eyes of whoever asked for it."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def remember(self) -> None:
        """Keep page and place."""
        is_maximised = self.isMaximized()
        self._preferences.change(maximised=is_maximised)
        if not is_maximised and not self.isFullScreen():
            at, size = self.pos(), self.size()
            self._preferences.change(place=(at.x(), at.y(), size.width(), size.height()))

    def end(self) -> None:
        """From now on closing is closing: the session of the desktop ends, or the program."""
        self._is_ending = True

    def quit(self) -> None:
        """Emit `quitted`, after a question if something is not applied."""
        unsaved = self._unsaved()
        if not unsaved:
            self.quitted.emit()
        elif self._question is None:
            self.raise_it()
            self.show_page(unsaved[0])
            self._question = self._ask_to_quit()
            self._question.finished.connect(self._answered)
            self._question.open()

    # Events.

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Hide if there is something to come back from, else let the program end."""
        self.remember()
        may_hide = self._may_hide()
        if may_hide or self._is_ending or not self._unsaved():
            event.accept()
            if not may_hide:
                self.quitted.emit()
        else:
            event.ignore()
            self.quit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.showEvent`."""
        super().showEvent(event)
        if not self._pages:
            remembered = self._preferences.now.page
            self.show_page(remembered if remembered in self._kinds else next(iter(self._kinds)))
        handle = self.windowHandle()
        if handle is not None:
            handle.installEventFilter(self)
        self._see()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.hideEvent`."""
        super().hideEvent(event)
        self._see()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self._see()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Enter presses the button that has the keyboard, too: Qt leaves that to dialogs."""
        button = self.focusWidget()
        is_enter = event.key() in ENTER and not event.isAutoRepeat()
        if is_enter and isinstance(button, QPushButton | QToolButton):
            button.click()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Some systems tell only the window's handle that nothing of it is to be seen."""
        if watched is self.windowHandle() and event.type() == QEvent.Type.Expose:
            self._see()
        return False

    # Parts.

    def _arrange(self) -> None:
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        around = QVBoxLayout()
        margin = self.fontMetrics().height() // 2
        around.setContentsMargins(margin, margin, margin, 0)
        around.addWidget(self._banner)
        right.addLayout(around)
        right.addWidget(self._stack, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._left())
        layout.addLayout(right, 1)

    def _left(self) -> QWidget:
        """The list of pages, and below it how things stand: as one, in the colour of lists."""
        side = QWidget(self)
        side.setAutoFillBackground(True)
        side.setBackgroundRole(QPalette.ColorRole.Base)
        side.setForegroundRole(QPalette.ColorRole.Text)
        side.setFixedWidth(self._navigation.sizeHint().width())
        glance = Glance(self._session, side)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._navigation, 1)
        column.addWidget(glance)
        return side

    def _make_shortcuts(self) -> None:
        keys: dict[str, Callable[[], object]] = {
            "Esc": self.close,
            "Ctrl+W": self.close,
            "Ctrl+Q": self.quit,
            "F5": self._refresh,
            "Ctrl+F": self._find,
        }
        for number, name in enumerate(self._kinds, 1):
            keys[f"Ctrl+{number}"] = partial(self.show_page, name)
        for key, act in keys.items():
            QShortcut(QKeySequence(key), self).activated.connect(act)

    def _unsaved(self) -> list[str]:
        """Pages on which something is not applied."""
        return [name for name, page in self._pages.items() if getattr(page, "has_unsaved", False)]

    def _ask_to_quit(self) -> QMessageBox:
        box = QMessageBox(self)
        box.setObjectName("quit-question")
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(self.tr("Samehost"))
        box.setText(self.tr("Some changes are not applied."))
        box.setInformativeText(self.tr("If Samehost's window is quit now, they are lost."))
        discard, cancel = QMessageBox.StandardButton.Discard, QMessageBox.StandardButton.Cancel
        box.setStandardButtons(discard | cancel)
        box.setDefaultButton(cancel)
        describe_buttons(box)
        return box

    def _answered(self, button: int) -> None:
        if self._question is not None:
            self._question.deleteLater()
            self._question = None
        if button == QMessageBox.StandardButton.Discard.value:
            self.quitted.emit()

    def _refresh(self) -> None:
        self._session.refresh()
        again = getattr(self._shown(), "refresh", None)
        if again is not None:
            again()

    def _find(self) -> None:
        if "ports" in self._kinds:
            self.show_page("ports")
            focus = getattr(self.page("ports"), "focus_filter", None)
            if focus is not None:
                focus()

    def _shown(self) -> QWidget:
        return list(self._pages.values())[self._stack.currentIndex()]

    def _tell(self) -> None:
        """The banner says what is wrong, unless the page does."""
        watch = self._watch
        action = "" if self._is_there_already(watch.action) else action_text(watch.action)
        if watch.trouble is not None:
            self._banner.tell(watch.trouble.message, watch.trouble.remedy, action)
        elif watch.state is None or watch.state.name in QUIET or self._page_tells(watch.state.name):
            self._banner.clear()
        else:
            self._banner.tell(watch.state.title, watch.state.explanation, action, watch.state.icon)

    def _is_there_already(self, action: Action) -> bool:
        return action is Action.MACHINES and bool(self._pages) and self.page_name == "machine"

    def _page_tells(self, name: str) -> bool:
        if not self._pages:
            return False
        tells = getattr(self._shown(), "tells_state", None)
        return name in self._kinds[self.page_name].tells or (tells is not None and tells(name))

    def _listen_to(self, page: QWidget) -> None:
        """Whatever of `pages.py` it has."""
        heard: dict[str, Callable[..., object]] = {
            "pageWanted": self.show_page,
            "settingWanted": self._show_setting,
            "tellsStateChanged": self._tell,
            "columnsChanged": partial(self._keep_columns, page),
        }
        for name, hear in heard.items():
            signal = getattr(page, name, None)
            if signal is not None:
                signal.connect(hear)
        restore = getattr(page, "restore_columns", None)
        if restore is not None and self._preferences.now.columns:
            restore(self._preferences.now.columns)

    def _keep_columns(self, page: QWidget) -> None:
        state = getattr(page, "columns_state", bytes)
        self._preferences.change(columns=bytes(state()))

    def _show_setting(self, name: str) -> None:
        if "network" in self._kinds:
            self.show_page("network")
            show = getattr(self.page("network"), "show_setting", None)
            if show is not None:
                show(name)

    def _see(self) -> None:
        handle: QWindow | None = self.windowHandle()
        is_seen = self.isVisible() and not self.isMinimized()
        is_watched = is_seen and handle is not None and handle.isExposed()
        if is_watched != self._is_watched:
            self._is_watched = is_watched
            self._session.set_watching(is_watched)

    def _take_place(self) -> None:
        letter = QSize(self.fontMetrics().averageCharWidth(), self.fontMetrics().height())
        screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
        least, usual = _times(LEAST_LETTERS, letter), _times(USUAL_LETTERS, letter)
        for screen in screens:
            least = least.boundedTo(room_on(screen))
        self.setMinimumSize(least)
        self.resize(usual.boundedTo(room_on(screens[0])) if screens else usual)
        place = placed(self._preferences.now.place, screens, least)
        if place is not None:
            self.move(place.topLeft())
            self.resize(place.size())
        if self._preferences.now.maximised:
            self.setWindowState(Qt.WindowState.WindowMaximized)


def _times(letters: QSize, letter: QSize) -> QSize:
    return QSize(letters.width() * letter.width(), letters.height() * letter.height())
