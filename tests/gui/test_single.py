"""One window at a time: a second start raises the first, and garbage raises nobody."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from desktop.api.local import SamehostError
from gui import single as module
from gui.single import LOCK_NAME, SOCKET_NAME, Request, Single, SingleError
from tests.capabilities import UNIX_SOCKETS, USER_IDS, needs
from tests.ended import ended
from tests.raw_client import raw_client

pytestmark = pytest.mark.usefixtures("qapp")

PATIENCE = 30.0
PATIENCE_MS = round(1000 * PATIENCE)

CONTENDER = """
import sys
from PySide6.QtCore import QCoreApplication
from gui.single import Request, Single
application = QCoreApplication([])
single = Single(sys.argv[1])
print(single.claim(Request()), flush=True)
single.asked.connect(lambda _: None)
application.exec()
"""

TREES = (
    st.none()
    | st.booleans()
    | st.text()
    | st.dictionaries(
        st.sampled_from(["show", "page", "token"]), st.booleans() | st.text() | st.integers()
    )
)

SECOND = """
import sys
from gui.single import Request, Single
single = Single(sys.argv[1])
print(single.claim(Request(True, "ports", "token-1")))
"""

CRASHING = """
import os, sys
from gui.single import Request, Single
single = Single(sys.argv[1])
assert single.claim(Request())
os._exit(9)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sh-") as home:
        yield Path(home) / "run"


@pytest.fixture
def first(folder: Path) -> Iterator[Single]:
    single = Single(folder)
    assert single.claim(Request())
    yield single
    single.release()


class Visitor(threading.Thread):
    """Connects as anybody of this user can, says something, and listens until nobody is there.

    In a thread of its own: a pipe of Windows takes words only while the window reads them.

    Attributes:
        heard: all that was said to it.
    """

    def __init__(self, folder: Path, words: bytes) -> None:
        super().__init__(name="visitor", daemon=True)
        self.heard = b""
        self._place = folder / SOCKET_NAME
        self._words = words
        self.start()

    def run(self) -> None:
        """See the class."""
        with (
            raw_client(self._place, PATIENCE) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(self._words)
            while said := connection.recv(100):
                self.heard += said

    @property
    def is_gone(self) -> bool:
        """It was sent away."""
        return not self.is_alive()


def test_a_second_start_asks_the_first_for_its_window(
    qtbot: QtBot, first: Single, folder: Path
) -> None:
    command = [sys.executable, "-c", SECOND, str(folder)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        with qtbot.waitSignal(first.asked, timeout=PATIENCE_MS) as caught:
            pass
        assert process.communicate(timeout=PATIENCE)[0] == "False\n"
    request = caught.args[0]
    assert (request.show, request.page, request.token) == (True, "ports", "token-1")


def test_of_several_that_start_at_once_one_is_the_first(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        said = [process.stdout.readline() for process in processes if process.stdout]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert sorted(said) == ["False\n"] * 3 + ["True\n"]


@needs(USER_IDS)
def test_its_place_is_for_this_user_only(first: Single, folder: Path) -> None:
    assert first is not None
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / LOCK_NAME)]
    assert modes == [0o700, 0o600]
    assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) & 0o077 == 0


def test_nothing_is_left_when_it_ends(folder: Path) -> None:
    single = Single(folder)
    assert single.claim(Request())
    single.release()
    single.release()
    assert not folder.exists()


def test_what_a_window_left_that_crashed_is_taken_over(folder: Path, qtbot: QtBot) -> None:
    process = subprocess.run([sys.executable, "-c", CRASHING, str(folder)], check=False)
    assert process.returncode == 9
    assert (folder / SOCKET_NAME).exists() is UNIX_SOCKETS.is_there  # a pipe is gone with it
    single = Single(folder)
    assert single.claim(Request())
    with qtbot.waitSignal(single.asked, timeout=PATIENCE_MS):
        visitor = Visitor(folder, Request().line())
    qtbot.waitUntil(lambda: visitor.is_gone)
    single.release()


@pytest.mark.parametrize(
    "words",
    [
        b"\n",
        b"garbage\n",
        b"[]\n",
        b"{}\n",
        b'{"show": 1}\n',
        b'{"show": true, "page": 7}\n',
        b'{"show": true, "token": "a\\u0000b"}\n',
        b"\xff\xfe\x00\n",
        b"[" * 4000 + b"\n",
        b"x" * 10_000,
        b"x" * 10_000 + b"\n" + Request().line(),
    ],
)
def test_garbage_is_not_answered_and_raises_nobody(
    qtbot: QtBot, first: Single, folder: Path, words: bytes
) -> None:
    with qtbot.assertNotEmitted(first.asked):
        visitor = Visitor(folder, words)
        qtbot.waitUntil(lambda: visitor.is_gone)
        assert visitor.heard == b""
    with qtbot.waitSignal(first.asked, timeout=PATIENCE_MS):
        another = Visitor(folder, Request().line())
    qtbot.waitUntil(lambda: another.is_gone)


def test_one_that_says_nothing_is_forgotten_after_a_time(
    qtbot: QtBot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    single = Single(folder)
    assert single.claim(Request())
    visitor = Visitor(folder, b'{"show"')
    qtbot.waitUntil(lambda: visitor.is_gone)
    assert visitor.heard == b""
    single.release()


def test_many_that_say_nothing_do_not_keep_a_second_start_waiting_for_long(
    qtbot: QtBot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
    single = Single(folder)
    assert single.claim(Request())
    silent = [Visitor(folder, b"") for _ in range(module.MOST_PEERS)]
    qtbot.waitUntil(lambda: all(visitor.is_gone for visitor in silent))
    with qtbot.waitSignal(single.asked, timeout=PATIENCE_MS):
        visitor = Visitor(folder, Request().line())
    qtbot.waitUntil(lambda: visitor.is_gone)
    single.release()


def test_a_first_window_that_does_not_answer_is_an_error(
    first: Single, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loop does not run here, so it hangs."""
    assert first is not None
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    with pytest.raises(SingleError, match="does not answer") as caught:
        Single(folder).claim(Request())
    assert caught.value.remedy == f"end it: kill {os.getpid()}"


@needs(USER_IDS)
def test_a_folder_that_others_may_write_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(SamehostError, match="others may write"):
        Single(folder).claim(Request())
    assert list(folder.iterdir()) == []


@given(st.binary(max_size=200) | st.recursive(TREES, st.lists).map(json.dumps).map(str.encode))
def test_whatever_is_said_is_a_request_or_makes_no_sense(words: bytes) -> None:
    try:
        request = Request.of_line(words)
    except ValueError:
        return
    assert isinstance(request.show, bool)
    assert isinstance(request.page, str)
    assert "\0" not in request.token


def test_a_request_reads_as_it_was_written() -> None:
    request = Request.of_line(Request(False, "about", "t").line())
    assert (request.show, request.page, request.token) == (False, "about", "t")
