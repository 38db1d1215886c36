"""One window at a time, over the named pipe that Qt makes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtNetwork")

from pytestqt.qtbot import QtBot

from desktop.api.stream import connect
from gui.single import SOCKET_NAME, Request, Single
from tests.ended import ended
from tests.windows.test_pipe import rights_of

pytestmark = pytest.mark.usefixtures("qapp")

PATIENCE_MS = 60_000
ROOT = Path(__file__).parents[2]
SECOND = """
import sys
from gui.single import Request, Single
single = Single(sys.argv[1])
print(single.claim(Request(True, "ports", "token-1")), flush=True)
"""


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Single]:
    single = Single(tmp_path / "run")
    assert single.claim(Request())
    yield single
    single.release()


def test_a_second_start_asks_the_first_for_its_window(
    qtbot: QtBot, first: Single, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SECOND, str(tmp_path / "run")]
    with ended(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)) as process:
        with qtbot.waitSignal(first.asked, timeout=PATIENCE_MS) as caught:
            pass
        assert process.communicate(timeout=60)[0] == "False\n"
    request = caught.args[0]
    assert (request.show, request.page, request.token) == (True, "ports", "token-1")


def test_garbage_is_not_answered_and_raises_nobody(
    qtbot: QtBot, first: Single, tmp_path: Path
) -> None:
    heard: list[bytes] = []

    def client() -> None:
        with contextlib.closing(connect(tmp_path / "run" / SOCKET_NAME, 5)) as stream:
            stream.settimeout(PATIENCE_MS / 1000)
            stream.sendall(b"garbage\n")
            heard.append(stream.recv(100))

    with qtbot.assertNotEmitted(first.asked):
        thread = threading.Thread(target=client, daemon=True)
        thread.start()
        qtbot.waitUntil(lambda: not thread.is_alive(), timeout=PATIENCE_MS)
    assert heard == [b""]


def test_nobody_but_this_user_is_in_the_access_list(first: Single, tmp_path: Path) -> None:
    assert first is not None
    stream = connect(tmp_path / "run" / SOCKET_NAME, 5)
    allowed = rights_of(stream._handle)  # type: ignore[attr-defined]
    stream.close()
    assert allowed
    assert not allowed & {"WD", "AN", "AU", "BU", "IU", "NU"}


def test_nothing_is_left_when_it_ends_and_the_next_is_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        single = Single(tmp_path / "run")
        assert single.claim(Request())
        single.release()
        assert not (tmp_path / "run").exists()
