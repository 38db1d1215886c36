"""The window's program: what the parts are, how they hang together, and how it ends.

    Single ─▶ Session ─▶ Window, Tray, Notifier
    Signals, the desktop's session ─▶ end

Rules: one of it for each of Samehost's folders. It ends with 0, or 130 on Ctrl-C, and leaves no
file, no icon and no child; the daemon is none of its children. It never hides into nothing: with no
tray it is a plain window. Counterparts: `desktop/cli/gui.py` starts it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import (
    QLocale,
    QMessageLogContext,
    QObject,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtGui import QSessionManager
from PySide6.QtWidgets import QApplication

from desktop.api.local import (
    VERSION,
    SamehostError,
    daemon_command,
    runtime_folder,
    socket_path,
    window_file,
)
from gui import icons, language
from gui.leaving import Signals
from gui.notices import Notice, Notifier
from gui.pages import PageKind, all_pages
from gui.preferences import PreferencesFile
from gui.session import Link, Question, Session, Starter
from gui.single import TOKEN_VARIABLE, Request, Single, SingleError
from gui.tray import Tray
from gui.tray_place import TrayPlace
from gui.window import Window

if TYPE_CHECKING:
    from gui.machine.question import Questions

__all__ = ["Program", "main"]

INTERRUPTED: Final = 130
FAILED: Final = 1

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run the window until it ends; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="samehost: %(message)s")
    options = _parse(arguments[1:])
    try:
        folder, file, path = runtime_folder(), window_file(), socket_path()
    except SamehostError as error:
        _say(error.message, error.remedy)
        return int(error.code)
    application = _application(arguments[:1])
    signals = Signals(application)  # before there is anything that a signal could leave behind
    single = Single(folder, application)
    try:
        if not single.claim(_request(options)):
            return 0
        session = Session(path, Starter(daemon_command()))
        program = Program(application, session, PreferencesFile(file), single, signals)
        program.start(options.page or "", hidden=options.hidden)
        code = application.exec()
        program.close()
    except (SamehostError, SingleError) as error:
        _say(error.message, error.remedy)
        return int(error.code) if isinstance(error, SamehostError) else FAILED
    finally:
        single.release()
        signals.close()
    return code


def _request(options: argparse.Namespace) -> Request:
    token = os.environ.get(TOKEN_VARIABLE, "")
    return Request(not options.hidden, options.page or "", token)


class Program(QObject):
    """See the module. `start` it, let the application run, `close` it. `kinds`: all pages."""

    def __init__(
        self,
        application: QApplication,
        session: Session,
        preferences: PreferencesFile,
        single: Single,
        signals: Signals,
        kinds: Sequence[PageKind] = (),
    ) -> None:
        super().__init__()
        self._application = application
        self._preferences = preferences
        self._questions: Questions | None = None
        self.session = session
        self.session.questioner = self._question
        self.place = TrayPlace(self)
        self.tray = Tray(session, self)
        self.notifier = Notifier(session, self._notify, self)
        self.window = Window(session, preferences, kinds or all_pages(preferences), self._may_hide)
        application.setQuitOnLastWindowClosed(False)
        application.commitDataRequest.connect(self._session_ends)
        application.saveStateRequest.connect(self._session_ends)
        signals.came.connect(self._signalled)
        self.window.quitted.connect(self.end)
        self.tray.quitted.connect(self.window.quit)
        self.tray.opened.connect(self._open)
        self.place.changed.connect(self._place_changed)
        single.asked.connect(self._asked)

    def start(self, page: str = "", *, hidden: bool = False) -> None:
        """Look for the daemon and for a tray, and show the window, unless it is to be hidden."""
        if page:
            self._preferences.change(page=page)
        if not hidden:
            self.window.show()
        if self._preferences.now.start_daemon:
            self.session.linkChanged.connect(self._start_daemon_once)
        self.session.open()
        self.place.look()

    def end(self, code: int = 0) -> None:
        """End the program."""
        self.window.remember()
        self.window.end()
        self._application.exit(code)

    def close(self) -> None:
        """Take everything back. The application itself stays."""
        self.window.quitted.disconnect(self.end)
        self.session.close()
        self.tray.close()
        self.window.end()
        self.window.close()
        self.window.deleteLater()
        self.session.deleteLater()

    def _start_daemon_once(self) -> None:
        """The first thing that is known of the daemon: start it if there is none."""
        if self.session.link is Link.CONNECTING:
            return
        self.session.linkChanged.disconnect(self._start_daemon_once)
        if self.session.link is Link.ABSENT:
            self.session.start_daemon()

    # The window and the tray.

    def _may_hide(self) -> bool:
        """True if a closed window can be had back; then it is said once how."""
        if not self.tray.is_visible or not self._preferences.now.close_to_tray:
            return False
        if not self._preferences.now.told_about_tray:
            self._preferences.change(told_about_tray=True)
            self.tray.tell(
                self.tr("Samehost goes on"),
                self.tr("Its window is behind this icon. Quit ends the icon, too."),
            )
        return True

    def _place_changed(self) -> None:
        if self.place.is_there:
            self.tray.show()
        else:
            self.tray.hide()
            if not self.window.isVisible():
                self.window.show()

    def _open(self, page: str = "") -> None:
        if page:
            self.window.show_page(page)
        self.window.raise_it()

    def _asked(self, request: Request) -> None:
        """A second start."""
        if request.show:
            if request.token:
                os.environ[TOKEN_VARIABLE] = request.token
            self._open(request.page)

    def _notify(self, notice: Notice) -> None:
        if self._preferences.now.notifications:
            self.tray.tell(notice.title, notice.text, is_trouble=True)

    def _question(self, question: Question) -> None:
        """The machine that is being attached wants to know something, such as a password."""
        if self._questions is None:
            from gui.machine.question import Questions  # most windows never ask

            self._questions = Questions(self.window)
            self.session.linkChanged.connect(self._withdraw)
            self.session.askingEnded.connect(self._forget_questions)
        self.window.raise_it()
        self._questions.asker("")(question)

    def _withdraw(self) -> None:
        if self.session.link is not Link.READY:
            self._forget_questions()

    def _forget_questions(self) -> None:
        if self._questions is not None:
            self._questions.withdraw()

    # The end.

    def _signalled(self, number: int) -> None:
        self.end(INTERRUPTED if number == signal.SIGINT else 0)

    def _session_ends(self, manager: QSessionManager | None = None) -> None:
        """Nothing here has to be asked or saved, and nothing may hold the session up.

        The next session does not start the window by itself: for that is an autostart entry.
        """
        if manager is not None:
            manager.setRestartHint(QSessionManager.RestartHint.RestartNever)
        self.window.remember()
        self.window.end()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="samehost gui", allow_abbrev=False)
    parser.add_argument("--page", help="the page to begin with")
    parser.add_argument("--hidden", action="store_true", help="begin in the tray")
    return parser.parse_args(arguments)


def _application(arguments: Sequence[str]) -> QApplication:
    """Qt ends the process if it finds no screen: then at least with words that help."""
    said: list[str] = []

    def hear(kind: QtMsgType, _: QMessageLogContext, text: str) -> None:
        said.append(text)
        if kind == QtMsgType.QtFatalMsg:
            _say("the window cannot be shown", "\n".join(said))
            sys.stderr.flush()
            os._exit(FAILED)

    before = qInstallMessageHandler(hear)
    try:
        application = QApplication([*arguments])
    finally:
        qInstallMessageHandler(before)
    for text in said:
        log.warning("%s", text)
    language.install(application, QLocale())
    QLocale.setDefault(language.formats(QLocale()))
    application.setApplicationName("samehost")
    application.setApplicationDisplayName("Samehost")
    application.setApplicationVersion(VERSION)
    application.setDesktopFileName("samehost")
    application.setWindowIcon(icons.icon("samehost", application.palette()))
    return application


def _say(message: str, remedy: str) -> None:
    """As the command line says it."""
    lines = [f"samehost: {message}", *(f"  {line}" for line in remedy.splitlines())]
    sys.stderr.write("\n".join(lines) + "\n")
