"""The program as a whole: its parts together, and its process from start to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import SIGNAL
from PySide6.QtWidgets import QApplication, QLineEdit, QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.fake import fake_row
from desktop.paths import HOME_VARIABLE
from desktop.processes import KILL
from gui.app import Program
from gui.leaving import Signals
from gui.notices import Notice
from gui.pages import PageKind
from gui.preferences import PreferencesFile
from gui.session import Link, Question, Session
from gui.single import SOCKET_NAME, TOKEN_VARIABLE, Request, Single
from tests.capabilities import POSIX_PROCESSES, USER_IDS, needs
from tests.gui.screen import PATIENCE
from tests.gui.told import ToldSession, status_of
from tests.raw_client import raw_client
from tests.served_backend import ServedBackend

# What has no screen has no tray, and nothing to be in front of.
pytestmark = pytest.mark.qt_log_ignore(
    "systemTrayWindowChanged", r"This plugin does not support raise\(\)", extend=True
)


def make_page(_: Session, parent: QWidget) -> QWidget:
    return QWidget(parent)


KINDS = [
    PageKind("network", "network", lambda: "Network", make_page),
    PageKind("ports", "ports", lambda: "Ports", make_page),
]


class Stage:
    """A program in this process, and what its tray said."""

    def __init__(self, qapp: QApplication, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = ToldSession()
        self.preferences = PreferencesFile(home / "window.json")
        self.single = Single(home / "run")
        assert self.single.claim(Request())
        self.signals = Signals()
        self.program = Program(
            qapp, self.session, self.preferences, self.single, self.signals, KINDS
        )
        self.codes: list[int] = []
        self.told: list[str] = []
        monkeypatch.setattr(QApplication, "exit", lambda _, code=0: self.codes.append(code))
        monkeypatch.setattr(
            self.program.tray, "tell", lambda title, *_, **__: self.told.append(title)
        )

    def settle(self, *, with_tray: bool) -> None:
        self.program.place._settle(with_tray)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sh-") as folder:
        yield Path(folder)


@pytest.fixture
def stage(qapp: QApplication, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with monkeypatch.context() as patch:
        stage = Stage(qapp, home, patch)
        yield stage
        stage.program.close()
    stage.program.deleteLater()
    stage.signals.close()
    stage.single.release()


# Where the window is.


def test_it_shows_the_window_and_looks_for_the_daemon(stage: Stage) -> None:
    stage.program.start("ports")
    assert stage.program.window.isVisible()
    assert stage.program.window.page_name == "ports"
    assert stage.session.opened == 1


def test_hidden_it_begins_in_the_tray(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    stage.program.start(hidden=True)
    assert not stage.program.window.isVisible()
    assert stage.program.tray.is_visible


def test_hidden_it_shows_the_window_where_there_is_no_tray(stage: Stage) -> None:
    stage.program.start(hidden=True)
    assert stage.program.window.isVisible()


def test_a_tray_that_goes_leaves_the_window(stage: Stage) -> None:
    stage.settle(with_tray=True)
    assert not stage.program.window.isVisible()
    stage.settle(with_tray=False)
    assert stage.program.window.isVisible()
    assert not stage.program.tray.is_visible


def test_closed_it_hides_in_the_tray_and_says_so_once(stage: Stage) -> None:
    stage.program.start()
    stage.settle(with_tray=True)
    for _ in range(3):
        stage.program.window.close()
        assert not stage.program.window.isVisible()
        stage.program.tray.opened.emit("")
        assert stage.program.window.isVisible()
    assert len(stage.told) == 1
    assert stage.codes == []


def test_closed_without_a_tray_it_ends(stage: Stage) -> None:
    stage.program.start()
    stage.program.window.close()
    assert stage.codes == [0]


def test_closed_it_ends_if_the_person_does_not_want_the_icon(stage: Stage) -> None:
    stage.program.start()
    stage.settle(with_tray=True)
    stage.preferences.change(close_to_tray=False)
    stage.program.window.close()
    assert stage.codes == [0]


def test_quit_of_the_tray_ends_it(stage: Stage) -> None:
    stage.program.start()
    stage.settle(with_tray=True)
    stage.program.tray.quitted.emit()
    assert stage.codes == [0]


def test_the_end_of_the_desktops_session_is_not_held_up(stage: Stage, qapp: QApplication) -> None:
    stage.program.start()
    for name in ("commitDataRequest", "saveStateRequest"):
        assert qapp.receivers(SIGNAL(f"{name}(QSessionManager&)")) == 1
    stage.program._session_ends()
    assert stage.program.window._is_ending
    assert stage.preferences.now.place


@pytest.mark.parametrize(
    ("wished", "links", "starts"),
    [
        (False, [Link.ABSENT], 0),
        (True, [Link.CONNECTING, Link.ABSENT], 1),
        (True, [Link.ABSENT, Link.CONNECTING, Link.ABSENT], 1),
        (True, [Link.READY, Link.CONNECTING, Link.ABSENT], 0),
    ],
    ids=["not wished", "none there", "gone again", "there at first"],
)
def test_a_daemon_is_started_with_the_window_if_that_is_wished(
    stage: Stage, wished: bool, links: list[Link], starts: int
) -> None:
    stage.preferences.change(start_daemon=wished)
    stage.program.start()
    for link in links:
        stage.session.tell(link)
    assert stage.session.starts == starts


# What it says.


def test_troubles_are_told_unless_the_person_does_not_want_to_know(stage: Stage) -> None:
    stage.program._notify(Notice("TCP port 1 is in use already", "nginx"))
    stage.preferences.change(notifications=False)
    stage.program._notify(Notice("TCP port 2 is in use already", "nginx"))
    assert stage.told == ["TCP port 1 is in use already"]


def test_a_question_of_a_machine_brings_the_window(stage: Stage, qtbot: QtBot) -> None:
    stage.session.tell(Link.READY, status_of("connecting"))
    answers: list[str | None] = []
    assert stage.session.questioner is not None
    stage.session.questioner(Question("Password:", True, answers.append))
    assert stage.program.window.isVisible()
    qtbot.waitUntil(lambda: stage.program.window.findChild(QLineEdit, "answer") is not None)
    stage.session.tell(Link.ABSENT)
    qtbot.waitUntil(lambda: stage.program.window.findChild(QLineEdit, "answer") is None)


def test_a_question_goes_when_what_it_is_for_has_ended(stage: Stage, qtbot: QtBot) -> None:
    stage.session.tell(Link.READY, status_of("connecting"))
    assert stage.session.questioner is not None
    stage.session.questioner(Question("Password:", True, lambda _text: None))
    qtbot.waitUntil(lambda: stage.program.window.findChild(QLineEdit, "answer") is not None)
    stage.session.askingEnded.emit()
    qtbot.waitUntil(lambda: stage.program.window.findChild(QLineEdit, "answer") is None)


# A second start.


def ask(home: Path, request: Request) -> socket.socket:
    connection = raw_client(home / "run" / SOCKET_NAME, 10)
    try:
        connection.sendall(request.line())
    except OSError:
        connection.close()
        raise
    return connection


def test_a_second_start_brings_the_window_with_its_page(
    stage: Stage, home: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    stage.program.start()
    stage.settle(with_tray=True)
    stage.program.window.close()
    with qtbot.waitSignal(stage.single.asked):
        ask(home, Request(True, "ports", "token-7")).close()
    qtbot.waitUntil(stage.program.window.isVisible)
    assert stage.program.window.page_name == "ports"
    assert os.environ[TOKEN_VARIABLE] == "token-7"


def test_a_second_start_that_is_hidden_brings_nothing(
    stage: Stage, home: Path, qtbot: QtBot
) -> None:
    stage.settle(with_tray=True)
    with qtbot.waitSignal(stage.single.asked):
        ask(home, Request(show=False)).close()
    assert not stage.program.window.isVisible()


# Its process.


class Process:
    """The window's process, without a screen, in a home of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        environment = {**os.environ, HOME_VARIABLE: str(home), "QT_QPA_PLATFORM": "offscreen"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gui", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def answers(self) -> bool:
        """It has come so far that it answers a second start."""
        try:
            with ask(self.home, Request(show=False)) as connection:
                return bool(connection.recv(100))
        except OSError:
            return False

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit code, and what it said."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=PATIENCE)[0]
        return self.process.returncode, said

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*"))


@pytest.fixture
def running(home: Path, qtbot: QtBot) -> Iterator[Process]:
    PreferencesFile(home / "window.json").change(start_daemon=False)
    process = Process(home, "--page", "about")
    try:
        qtbot.waitUntil(process.answers)
        yield process
    finally:
        if process.process.poll() is None:
            process.end(KILL)


@needs(POSIX_PROCESSES)
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 0), ("SIGHUP", 0)])
def test_a_signal_ends_it_and_nothing_is_left(running: Process, name: str, code: int) -> None:
    found, said = running.end(getattr(signal, name))
    assert found == code
    assert "Traceback" not in said
    assert running.files() == ["window.json"]


def test_a_second_process_ends_with_zero_and_the_first_lives_on(running: Process) -> None:
    second = Process(running.home, "--page", "general")
    assert second.process.communicate(timeout=PATIENCE)[0] is not None
    assert second.process.returncode == 0
    assert running.process.poll() is None
    assert running.answers()


def test_a_window_that_was_killed_is_no_hindrance_to_the_next(
    running: Process, qtbot: QtBot
) -> None:
    running.end(KILL)
    next_one = Process(running.home)
    qtbot.waitUntil(next_one.answers)
    code, _ = next_one.end(signal.SIGTERM)
    if POSIX_PROCESSES.is_there:  # elsewhere nobody can be told to end
        assert code == 0
        assert running.files() == ["window.json"]


def test_it_leaves_the_daemon_alone(qtbot: QtBot) -> None:
    with tempfile.TemporaryDirectory(prefix="sh-") as folder:
        with ServedBackend(Path(folder)) as served:
            served.do(lambda: served.backend.change([fake_row(8000)]))
            window = Process(Path(folder))
            qtbot.waitUntil(window.answers)
            code, _ = window.end(signal.SIGTERM)
            assert code == (0 if POSIX_PROCESSES.is_there else signal.SIGTERM)
            assert served.do(served.backend.status).ports.active == 1
            assert served.backend.calls == []


def test_where_no_display_answers_it_says_so_and_does_not_crash(home: Path) -> None:
    environment = {**os.environ, HOME_VARIABLE: str(home), "DISPLAY": ":4711"}
    environment["QT_QPA_PLATFORM"] = "xcb"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gui"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("samehost: the window cannot be shown\n  ")
    if "Could not find the Qt platform plugin" in done.stderr:
        pytest.skip("Qt knows no displays of X here")
    assert ":4711" in done.stderr


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("ModuleNotFoundError(\"No module named 'PySide6'\")", "samehost[gui]"),
        ("ImportError('libEGL.so.1: cannot open shared object file')", "libegl1"),
    ],
)
def test_what_is_missing_is_said_with_what_to_install(error: str, remedy: str) -> None:
    code = (
        "import builtins, runpy, sys\n"
        "usual = builtins.__import__\n"
        "def find(name, *rest, **more):\n"
        f"    if name.startswith('PySide6'): raise {error}\n"
        "    return usual(name, *rest, **more)\n"
        "builtins.__import__ = find\n"
        "runpy.run_module('gui', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr.startswith("samehost: the window cannot be loaded: ")
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


@needs(USER_IDS)
def test_a_folder_that_is_not_ours_alone_is_said_and_not_used(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run").chmod(0o777)
    process = Process(home)
    said = process.process.communicate(timeout=PATIENCE)[0]
    assert process.process.returncode == 5
    assert "others may write" in said
    assert "chmod 700" in said
