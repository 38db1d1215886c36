"""The view of a state follows the session and does what its button says."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.api.fake import fake_row
from desktop.api.types import Status
from gui import state_view
from gui.session import Link, Problem, Session
from gui.state_view import StateView, StateWatch
from tests.gui.told import ToldSession, status_of
from tests.served_backend import ServedBackend

pytestmark = pytest.mark.usefixtures("qapp")

ACTIONS = [
    (Link.ABSENT, None, "start"),
    (Link.HUNG, None, "retry"),
    (Link.READY, status_of(enabled=False), "set_enabled"),
    (Link.READY, status_of("failed"), "attach"),
]


def shown(view: QWidget, name: str) -> str:
    """The words of a label; "" while it is not to be seen."""
    label = view.findChild(QLabel, name)
    assert isinstance(label, QLabel)
    return "" if label.isHidden() else label.text()


def button(view: QWidget) -> QPushButton:
    found = view.findChild(QPushButton, "state-action")
    assert isinstance(found, QPushButton)
    return found


def test_it_shows_what_is_wrong_and_how_to_help(qtbot: QtBot, told: ToldSession) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(Link.ABSENT)
    assert shown(view, "state-title") == "Samehost is not running"
    assert button(view).text() == "&Start Samehost"
    assert view.accessibleName() == "Samehost is not running"


def test_it_says_when_there_is_nothing_to_say(qtbot: QtBot, told: ToldSession) -> None:
    told.tell(Link.ABSENT)
    view = StateView(told)
    qtbot.addWidget(view)
    told.reset_rows([])
    with qtbot.waitSignal(view.changed):
        told.tell(Link.READY, status_of("connected"))
    assert view.state is not None
    assert view.state.name == "no-ports"
    assert button(view).isHidden()


@pytest.mark.parametrize(("link", "status", "done"), ACTIONS, ids=[each[2] for each in ACTIONS])
def test_the_button_does_what_it_says(
    qtbot: QtBot, told: ToldSession, link: Link, status: None, done: str
) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(link, status)
    button(view).click()
    counts = {"start": told.starts, "retry": told.opened}
    asked = [each.method for each in told.asked]
    assert counts.get(done, asked.count(done)) == 1


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (status_of("reconnecting"), "machine"),
        (status_of(enabled=False, enabled_locked=True, enabled_reason="by law"), "network"),
    ],
    ids=["where the machine is chosen", "where it is said who locked the switch"],
)
def test_a_page_is_asked_for(qtbot: QtBot, told: ToldSession, status: Status, page: str) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(Link.READY, status)
    with qtbot.waitSignal(view.pageWanted, check_params_cb=lambda wanted: wanted == page):
        button(view).click()


def test_an_action_that_fails_says_why_until_things_are_otherwise(
    qtbot: QtBot, told: ToldSession
) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(Link.READY, status_of(enabled=False))
    button(view).click()
    assert not button(view).isEnabled()
    told.asked[-1].fails(Problem("it is locked", "ask", "PERMISSION"))
    assert shown(view, "state-trouble") == "it is locked\nask"
    assert button(view).isEnabled()
    told.tell(Link.READY, status_of("failed"))
    assert shown(view, "state-trouble") == ""


def test_a_machine_that_cannot_be_attached_is_told_until_it_is(
    qtbot: QtBot, told: ToldSession
) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(Link.READY, status_of("connecting", enabled=False))
    told.attachEnded.emit(Problem("no way in", "look at its log", "MACHINE_UNREACHABLE"))
    told.tell(Link.READY, status_of("failed", enabled=False))
    assert shown(view, "state-trouble") == "no way in\nlook at its log"
    assert button(view).text() == "&Connect to the machine"
    told.tell(Link.READY, status_of("connected", enabled=False))
    assert shown(view, "state-trouble") == ""
    assert button(view).text() == "&Enable host networking"


def test_what_attaching_says_is_told_by_all_who_watch_until_it_is_over(
    qtbot: QtBot, told: ToldSession
) -> None:
    view, watch = StateView(told), StateWatch(told)
    qtbot.addWidget(view)
    told.tell(Link.READY, status_of("failed"))
    told.attaches = True
    button(view).click()
    assert shown(view, "state-title") == "Connecting to the machine"
    assert button(view).isHidden()
    progress = told.asked[-1].progress
    assert progress is not None
    progress("starting lima-dev")
    assert shown(view, "state-explanation") == "starting lima-dev"
    assert watch.state == view.state
    told.attaches = False
    told.asked[-1].fails(Problem("no way in", "look at its log", "MACHINE_UNREACHABLE"))
    assert shown(view, "state-title") == "The machine colima cannot be reached"
    assert shown(view, "state-trouble") == "no way in\nlook at its log"


def test_another_machine_that_cannot_be_attached_is_told_until_somebody_looks(
    qtbot: QtBot, told: ToldSession
) -> None:
    watch = StateWatch(told)
    told.reset_rows([fake_row(8000)])
    told.attachEnded.emit(Problem("sandbox-b: no way in", "", "FAILED"))
    for _ in range(3):
        told.tell(Link.READY, status_of("connected"))
    assert watch.trouble is not None
    with qtbot.waitSignal(watch.pageWanted):
        watch.act()
    assert watch.trouble is None


def test_machines_are_looked_for_once_and_only_if_none_is_attached(
    qtbot: QtBot, told: ToldSession
) -> None:
    watch, other = StateWatch(told), StateWatch(told)
    told.tell(Link.READY, status_of("connected"))
    assert told.asked == []
    told.tell(Link.READY, status_of("stopped"))
    told.tell(Link.READY, status_of("stopped"))
    assert [each.method for each in told.asked] == ["machines"]
    with qtbot.waitSignal(watch.changed):
        told.asked[0].then({"machines": [], "findings": []})
    assert watch.state is not None
    assert watch.state.name == "no-machine-found"
    assert other.state == watch.state


def test_another_daemon_is_asked_anew_for_machines(told: ToldSession) -> None:
    watch = StateWatch(told)
    for _ in range(2):
        told.tell(Link.READY, status_of("stopped"))
        told.asked[-1].then({"machines": [], "findings": []})
        assert watch.state is not None
        assert watch.state.name == "no-machine-found"
        told.tell(Link.ABSENT)
    assert [each.method for each in told.asked] == ["machines", "machines"]


def test_a_short_wait_is_not_worth_a_word(
    qtbot: QtBot, told: ToldSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_view, "PATIENCE_MS", 1)
    told.tell(Link.READY, status_of())
    watch = StateWatch(told)
    told.tell(Link.CONNECTING, status_of())
    assert watch.state is not None
    assert watch.state.name == "no-ports"
    qtbot.waitUntil(lambda: watch.state is not None and watch.state.name == "connecting")


def test_a_start_says_what_goes_on(qtbot: QtBot, told: ToldSession) -> None:
    view = StateView(told)
    qtbot.addWidget(view)
    told.tell(Link.STARTING)
    told.startTold.emit("booting the sandbox")
    assert shown(view, "state-explanation") == "booting the sandbox"


def test_with_a_daemon_the_switch_is_turned_on_for_good(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    served.run(served.backend.set_enabled(False))
    session.refresh()
    view = StateView(session)
    qtbot.addWidget(view)
    qtbot.waitUntil(lambda: view.state is not None and view.state.name == "switched-off")
    button(view).click()
    qtbot.waitUntil(lambda: view.state is None)
    assert served.do(served.backend.status).enabled
