"""Tests of the window: without a screen, in one look wherever they run, and nothing left behind.

Rules: Qt's warnings fail a test (`qt_log_level_fail` in pyproject.toml). A test that leaves a
window, a running timer, thread or program, or an open connection behind fails, and is told which.
The window's own files go to a folder of the run.

Counterparts: `leftovers.py`, `stage.py`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from pytestqt.qtbot import QtBot

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["LC_ALL"] = "C.UTF-8"
for _name in ("QT_SCALE_FACTOR", "QT_STYLE_OVERRIDE", "QT_QPA_PLATFORMTHEME", "LANGUAGE"):
    os.environ.pop(_name, None)

from PySide6.QtCore import QLocale  # noqa: E402  # Qt reads its environment once
from PySide6.QtGui import QFont  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from gui.session import Link, Session, Starter  # noqa: E402
from tests.gui.leftovers import Leftovers  # noqa: E402
from tests.gui.stage import furnish  # noqa: E402
from tests.served_backend import ServedBackend  # noqa: E402

FAILED: Final = pytest.StashKey[bool]()
FONT: Final = ("DejaVu Sans", 10)
"""Family and size in points: `scripts/setup gui` sees to it that it is there."""


@pytest.fixture(scope="session", autouse=True)
def own_folders() -> Iterator[Path]:
    """Where Qt keeps settings and looks for sockets during the run."""
    folder = Path(tempfile.mkdtemp(prefix="samehost-gui-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    """pytest-qt's: the arguments of the application."""
    return ["samehost", "-style", "Fusion"]


@pytest.fixture(scope="session", autouse=True)
def same_look_everywhere(qapp: QApplication, own_folders: Path) -> None:
    """One font, one language, and no cursor that blinks."""
    assert own_folders.is_dir()
    QLocale.setDefault(QLocale.c())
    qapp.setFont(QFont(*FONT))
    qapp.setCursorFlashTime(0)
    qapp.setQuitOnLastWindowClosed(False)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(
    request: pytest.FixtureRequest, same_look_everywhere: None
) -> Iterator[None]:
    """Fails a test, after all else of it was taken down, that left something at work."""
    assert same_look_everywhere is None
    leftovers = Leftovers()
    yield
    names = leftovers.remove()
    if names and not request.node.stash.get(FAILED, False):
        pytest.fail("left behind:\n  " + "\n  ".join(names))


@pytest.fixture
def served() -> Iterator[ServedBackend]:
    """A daemon that serves rows of every state, the switch on and a machine connected."""
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    with ServedBackend(home) as served:
        served.do(lambda: furnish(served.backend))
        yield served
    shutil.rmtree(home)


@pytest.fixture
def session(served: ServedBackend, qtbot: QtBot) -> Iterator[Session]:
    """What the window knows of that daemon: all of it."""
    session = Session(str(served.paths.api_socket), Starter(["false"]))
    session.set_watching(True)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY and bool(session.rows))
    yield session
    session.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed may leave things behind: its own failure is what matters."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
