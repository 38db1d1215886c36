"""Tests of the window: without a screen, in one look wherever they run, and nothing left behind.

Rules: Qt's warnings fail a test, but for those named here. A test that leaves a
window, a running timer, thread or program, or an open connection behind fails, and is told which.
The window's own files go to a folder of the run.

Counterparts: `dress.py`, `leftovers.py`, `stage.py`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.stream import address_of
from gui.session import Link, Session, Starter
from tests.gui.dress import ARGUMENTS, dress, prepare
from tests.gui.leftovers import Leftovers
from tests.gui.stage import furnish
from tests.gui.told import ToldSession
from tests.served_backend import ServedBackend

FAILED: Final = pytest.StashKey[bool]()
HERE: Final = Path(__file__).parent
PATIENCE_MS: Final = 30_000

WITHOUT_A_SCREEN: Final = (
    "This plugin does not support propagateSizeHints",  # windows of a least size
    "This plugin does not support raise",  # those that come to the front
)
"""Warnings of Qt that fail no test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Markers, not settings of pyproject.toml: pytest refuses those where there is no pytest-qt."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            others = item.get_closest_marker("qt_log_ignore")  # of which only the closest counts
            ignored = (*WITHOUT_A_SCREEN, *(others.args if others else ()))
            item.add_marker(pytest.mark.qt_log_ignore(*ignored))


@pytest.fixture(scope="package", autouse=True)
def own_folders() -> Iterator[Path]:
    """Where Qt keeps settings and looks for sockets; other tests have the environment as it was."""
    folder = Path(tempfile.mkdtemp(prefix="samehost-gui-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    """pytest-qt's: the arguments of the application, which is made next."""
    os.environ.pop("QT_SCALE_FACTOR", None)
    prepare()
    return list(ARGUMENTS)


@pytest.fixture(scope="package", autouse=True)
def same_look_everywhere(qapp: QApplication, own_folders: Path) -> None:
    """See `dress.py`."""
    assert own_folders.is_dir()
    dress(qapp)


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


class PatientBot(QtBot):
    """Waits for as long as a busy computer may take, unless it is told for how long."""

    def waitUntil(  # noqa: N802 - its name in pytest-qt, as those of the others
        self, callback: Callable[[], bool | None], *, timeout: int = PATIENCE_MS
    ) -> None:
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(  # noqa: N802
        self, signal: Any, *, timeout: int = PATIENCE_MS, **others: Any
    ) -> Any:
        return super().waitSignal(signal, timeout=timeout, **others)

    def waitExposed(self, widget: QWidget, *, timeout: int = PATIENCE_MS) -> Any:  # noqa: N802
        return super().waitExposed(widget, timeout=timeout)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's, with more patience."""
    assert qapp is QApplication.instance()
    return PatientBot(request)


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
    session = Session(address_of(served.paths.api_socket), Starter(["false"]))
    session.set_watching(True)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY and bool(session.rows))
    yield session
    session.close()


@pytest.fixture
def told(qapp: QApplication) -> Iterator[ToldSession]:
    """A session that knows what it is told."""
    assert qapp is QApplication.instance()
    session = ToldSession()
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
