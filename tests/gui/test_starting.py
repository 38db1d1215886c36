"""Starting the daemon from the window: real processes, a real daemon without a machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from desktop.api.client import ApiClient
from desktop.api.local import daemon_command, socket_path
from desktop.api.stream import address_of
from desktop.errors import NotRunningError
from desktop.paths import HOME_VARIABLE, Paths
from desktop.processes import KILL
from gui.session import Link, Problem, Question, Session, Starter
from tests.capabilities import POSIX_PROCESSES
from tests.served_backend import PATIENCE

ROOT = Path(__file__).parents[2]
PATIENCE_MS = round(PATIENCE * 1000)

WITH_STUB = """\
import sys
from desktop.cli import launch
from desktop.cli.main import main
launch.COMMAND[:] = [sys.executable, "-m", "tests.unit.cli.stub_daemon"]
sys.exit(main(["up", "--no-machine"]))
"""
"""`samehost up --no-machine`, of a daemon that does what the variable STUB says."""


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon is looked for often."""
    monkeypatch.setattr("gui.session.LAST_RETRY_SECONDS", 0.2)


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A home of its own; whatever daemon is left there ends with the test."""
    with tempfile.TemporaryDirectory(prefix="sh-") as home:
        monkeypatch.setenv(HOME_VARIABLE, home)
        monkeypatch.chdir(ROOT)
        paths = Paths.under(Path(home))
        # A machine that is not there, so that none is started.
        paths.settings_file.write_text(json.dumps({"machine": "lima-nowhere"}))
        yield paths
        end(paths)


def pid_of(paths: Paths) -> int:
    """The daemon's process."""
    return int(paths.lock_file.read_text())


def end(paths: Paths, how: signal.Signals = signal.SIGTERM) -> None:
    """End the daemon, if there is one, and see that it has ended."""
    try:
        process = psutil.Process(pid_of(paths))
    except (FileNotFoundError, psutil.NoSuchProcess):
        return
    process.send_signal(how)
    process.wait(PATIENCE)


def is_running(paths: Paths) -> bool:
    try:
        ApiClient.connect(paths.api_socket).close()
    except NotRunningError:
        return False
    return True


@pytest.fixture
def stub(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Starter]:
    """Makes a starter of a daemon that does what is said."""

    def make(mode: str) -> Starter:
        assert paths.config.is_dir()
        monkeypatch.setenv("STUB", mode)
        return Starter([sys.executable, "-c", WITH_STUB])

    return make


# The starter


def test_it_is_done_when_the_daemon_serves(
    qtbot: QtBot, stub: Callable[[str], Starter], paths: Paths
) -> None:
    starter = stub("ready")
    with qtbot.waitSignal(starter.started, timeout=PATIENCE_MS):
        starter.start()
        starter.start()
    assert not starter.is_running
    assert is_running(paths)


def test_the_daemons_reason_is_the_problem(qtbot: QtBot, stub: Callable[[str], Starter]) -> None:
    starter = stub("refuse")
    told: list[str] = []
    starter.told.connect(told.append)
    with qtbot.waitSignal(starter.failed, timeout=PATIENCE_MS) as failed:
        starter.start()
    assert failed.args == [Problem("the sandbox needs root", "use sudo", "PERMISSION")]
    assert told == ["samehost: the sandbox needs root", "  use sudo"]


def test_the_last_words_of_one_that_dies_are_in_the_remedy(
    qtbot: QtBot, stub: Callable[[str], Starter]
) -> None:
    starter = stub("die")
    with qtbot.waitSignal(starter.failed, timeout=PATIENCE_MS) as failed:
        starter.start()
    assert failed.args is not None
    assert "a last word" in failed.args[0].remedy


def test_a_program_that_is_not_there_is_a_problem(qtbot: QtBot) -> None:
    starter = Starter(["/nowhere/python", "-m", "desktop.cli.main"])
    with qtbot.waitSignal(starter.failed) as failed:
        starter.start()
    assert failed.args is not None
    assert "/nowhere/python" in failed.args[0].message


def test_one_that_is_killed_is_a_problem(qtbot: QtBot) -> None:
    starter = Starter([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    with qtbot.waitSignal(starter.failed, timeout=PATIENCE_MS) as failed:
        starter.start()
    assert failed.args is not None
    assert failed.args[0].code == "FAILED"


def test_endless_words_are_told_and_not_kept(qtbot: QtBot) -> None:
    program = "import sys; sys.stderr.write('x' * 1000000 + '\\n' + 'line\\n' * 10000); sys.exit(1)"
    starter = Starter([sys.executable, "-c", program])
    told: list[str] = []
    starter.told.connect(told.append)
    with qtbot.waitSignal(starter.failed, timeout=PATIENCE_MS) as failed:
        starter.start()
    assert max(map(len, told)) <= 4000
    assert failed.args is not None
    assert failed.args[0].message == "line"


@pytest.mark.parametrize("ignores", [False, True], ids=["", "in the background of a script"])
def test_stopped_it_takes_back_what_it_began(
    qtbot: QtBot, stub: Callable[[str], Starter], *, ignores: bool
) -> None:
    """What a script of sh runs with `&` ignores Ctrl-C, and so do programs that it starts."""
    with interrupts(signal.SIG_IGN if ignores else signal.getsignal(signal.SIGINT)):
        see_it_stopped(qtbot, stub("hang"))


@contextlib.contextmanager
def interrupts(handler: Any) -> Iterator[None]:
    """What Ctrl-C does in this process."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def see_it_stopped(qtbot: QtBot, starter: Starter) -> None:
    """See that nothing is left of one that is stopped while it starts a daemon."""
    starter.start()
    me = psutil.Process()
    qtbot.waitUntil(
        lambda: any("stub_daemon" in word for each in daemons_of(me) for word in words_of(each)),
        timeout=PATIENCE_MS,
    )
    processes = me.children(recursive=True)
    ended = [QSignalSpy(starter.started), QSignalSpy(starter.failed)]
    starter.end_now()
    starter.end_now()
    assert not starter.is_running
    assert [process for process in processes if is_alive(process)] == []
    assert [each.count() for each in ended] == [0, 0]


def daemons_of(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children(recursive=True) if len(words_of(each)) >= 5]


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended may wait for whoever is to be told."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing of one that has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # of which a zombie is one
        return []


# The session with a real daemon


@pytest.fixture
def session(paths: Paths) -> Iterator[Session]:
    assert paths.config.is_dir()
    session = Session(socket_path(), Starter(daemon_command()))
    session.set_watching(True)
    yield session
    session.close()


def test_a_daemon_is_started_attaches_dies_and_is_started_again(
    qtbot: QtBot, session: Session, paths: Paths
) -> None:
    links: list[Link] = []
    attaches: list[bool] = []
    session.linkChanged.connect(lambda: links.append(session.link))
    session.linkChanged.connect(lambda: attaches.append(session.is_attaching))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    pids = set()
    for _ in range(2):
        links.clear()
        attaches.clear()
        with qtbot.waitSignal(session.attachEnded, timeout=PATIENCE_MS) as attached:
            session.start_daemon()
            session.start_daemon()
            assert session.link is Link.STARTING
        # The daemon may serve, and be found, before the command that started it has ended.
        others = [link for link in links if link is not Link.CONNECTING]
        assert others == [Link.STARTING, Link.READY]
        assert attached.args is not None
        assert "lima-nowhere" in attached.args[0].message
        assert [link is Link.READY for link in links] == attaches
        assert (session.attaching, session.is_attaching) == (None, False)
        assert session.settings["machine"].value == "lima-nowhere"
        pids.add(pid_of(paths))
        end(paths, KILL)
        qtbot.waitUntil(lambda: session.link is Link.ABSENT)
        assert session.problem is None
    assert len(pids) == 2


def test_a_daemon_outlives_the_window(qtbot: QtBot, session: Session, paths: Paths) -> None:
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    session.start_daemon()
    qtbot.waitUntil(lambda: session.link is Link.READY, timeout=PATIENCE_MS)
    pid = pid_of(paths)
    session.close()
    assert is_running(paths)
    if POSIX_PROCESSES.is_there:
        assert os.getpgid(pid) != os.getpgid(0)
    assert psutil.Process(pid).ppid() != os.getpid()


def test_a_daemon_that_is_stopped_by_a_signal_hangs_until_it_goes_on(
    qtbot: QtBot, session: Session, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.session.SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("gui.session.POLL_SECONDS", 0.1)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    session.start_daemon()
    qtbot.waitUntil(lambda: session.link is Link.READY, timeout=PATIENCE_MS)
    daemon = psutil.Process(pid_of(paths))
    daemon.suspend()
    try:
        qtbot.waitUntil(lambda: session.link is Link.HUNG)
    finally:
        daemon.resume()
    qtbot.waitUntil(lambda: session.link is Link.READY)


def test_a_start_that_fails_says_why_until_the_next(
    qtbot: QtBot, paths: Paths, stub: Callable[[str], Starter]
) -> None:
    session = Session(address_of(paths.api_socket), stub("refuse"))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    told: list[tuple[Link, Problem | None]] = []
    session.linkChanged.connect(lambda: told.append((session.link, session.problem)))
    session.start_daemon()
    qtbot.waitUntil(lambda: session.problem is not None, timeout=PATIENCE_MS)
    tries = QSignalSpy(session._retry.timeout)
    qtbot.waitUntil(lambda: tries.count() >= 2, timeout=PATIENCE_MS)
    why = Problem("the sandbox needs root", "use sudo", "PERMISSION")
    assert told == [(Link.STARTING, None), (Link.ABSENT, why)]
    session.start_daemon()
    assert told[2:] == [(Link.STARTING, None)]
    session.close()


def test_a_window_that_is_closed_while_it_starts_leaves_no_daemon(
    qtbot: QtBot, paths: Paths, stub: Callable[[str], Starter]
) -> None:
    session = Session(address_of(paths.api_socket), stub("hang"))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    session.start_daemon()
    me = psutil.Process()
    qtbot.waitUntil(lambda: bool(daemons_of(me)), timeout=PATIENCE_MS)
    processes = me.children(recursive=True)
    session.close()
    assert [process for process in processes if is_alive(process)] == []


@pytest.mark.parametrize("somebody", [True, False])
def test_what_is_asked_while_it_attaches_is_asked_of_the_questioner(
    qtbot: QtBot, paths: Paths, stub: Callable[[str], Starter], somebody: bool
) -> None:
    session = Session(address_of(paths.api_socket), stub("curious"))
    questions: list[str] = []

    def answer(question: Question) -> None:
        questions.append(question.text)
        question.answer("me")

    session.questioner = answer if somebody else None
    told: list[str] = []
    session.startTold.connect(told.append)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    with qtbot.waitSignal(session.attachEnded, timeout=PATIENCE_MS) as ended:
        session.start_daemon()
    assert told[-1].startswith("starting ")
    assert questions == (["Who are you?"] if somebody else [])
    assert ended.args == [
        None if somebody else Problem("nobody answers", "ask in a terminal", "PERMISSION")
    ]
    session.close()
