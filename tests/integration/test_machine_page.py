"""The window's page Machine, and what it does to a real machine: the sandbox, by a real daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from gui.machine.activity import Activity
from gui.machine.page import MachinePage
from gui.machine.stopping import StopDialog
from gui.session import Link, Session, Starter
from tests.integration.samehost import PATIENCE, Samehost, running_samehost

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # which Qt reads when its application begins

BOOT_MS = round(6 * PATIENCE * 1000)


class Window:
    """The page before that daemon."""

    def __init__(self, samehost: Samehost, bot: QtBot) -> None:
        self.bot = bot
        self.session = Session(str(samehost.paths.api_socket), Starter(["false"]))
        self.session.set_watching(True)
        self.page = MachinePage(self.session, command=samehost.command)
        bot.addWidget(self.page)
        self.session.open()
        self.page.show()
        self.until(lambda: self.session.link is Link.READY)
        self.until(lambda: self.page.choosing.searching.found is not None)

    def press(self, name: str) -> None:
        """Press a button, which must be possible."""
        button = self.page.findChild(QPushButton, name)
        assert isinstance(button, QPushButton)
        self.until(button.isEnabled)
        button.click()

    def until_done(self) -> None:
        """Until what was begun has ended, and machines were looked for after it."""
        choosing = self.page.choosing
        self.until(lambda: not choosing.work.is_running and not choosing.searching.is_running)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        self.bot.waitUntil(condition, timeout=BOOT_MS)

    def states(self) -> list[tuple[str, str]]:
        """The machines of the table, and what they do."""
        return [(each.name, each.state) for each in self.page.choosing.entries]

    @property
    def title(self) -> str:
        """How what was begun has ended."""
        return self.page.choosing.activity.title


@pytest.fixture
def samehost(monkeypatch: pytest.MonkeyPatch) -> Iterator[Samehost]:
    """One that is up; programs that the window starts mean it, too."""
    with running_samehost() as samehost:
        monkeypatch.setenv("SAMEHOST_HOME", str(samehost.home))
        yield samehost


@pytest.fixture
def window(samehost: Samehost, qtbot: QtBot) -> Iterator[Window]:
    window = Window(samehost, qtbot)
    yield window
    window.session.close()


def test_a_machine_is_detached_used_stopped_and_started(window: Window) -> None:
    (card,) = window.page.cards.cards
    assert (card.name, window.states()) == ("sandbox", [("sandbox", "connected")])
    assert set(card.texts) == {"connected-for", "kernel", "transport", "agent", "watcher"}
    assert card.command.startswith("export DOCKER_HOST=unix:///")
    window.press("detach")
    window.until_done()
    window.until(lambda: window.states() == [("sandbox", "running")])
    window.press("use")
    window.until_done()
    window.until(lambda: window.states() == [("sandbox", "connected")])
    window.press("stop")
    (dialog,) = window.page.findChildren(StopDialog)
    assert "images" in dialog.informativeText()
    stop = dialog.findChild(QPushButton, "really-stop")
    assert isinstance(stop, QPushButton)
    stop.click()
    window.until_done()
    window.until(lambda: window.states() == [("sandbox", "stopped")])
    assert card.command == ""
    window.press("start")
    window.until_done()
    assert window.title == "sandbox runs."
    window.until(lambda: window.states() == [("sandbox", "running")])


def test_it_is_examined_and_what_is_wrong_has_its_remedy(window: Window) -> None:
    window.press("examine")
    window.until(lambda: not window.page.examining.is_running)
    found = {each.name: each for each in window.page.examining.findings}
    assert {"daemon", "machine", "engine"} <= set(found)
    assert found["machine"].state == "ok"
    assert all(each.remedy for each in found.values() if each.state in ("error", "warning"))
    window.press("examine-machine")
    window.until(lambda: not window.page.examining.is_running)
    steps = window.page.examining.findings
    assert [each.state for each in steps] == ["ok"] * len(steps)
    assert steps[-1].name == "handshake"
    activity = window.page.findChild(Activity, "examination")
    assert isinstance(activity, Activity)
    assert activity.title == "All is well."
