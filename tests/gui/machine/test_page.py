"""The page Machine as a whole: what is in use, and what there is to say if nothing is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from desktop.api.fake import FakeMachine
from desktop.api.stream import address_of
from desktop.api.types import MachineList
from gui import parts
from gui.machine.cards import MachineCard, MachineCards
from gui.machine.entries import Action
from gui.machine.page import MachinePage
from gui.parts import CopyButton, IconLabel
from gui.session import Link, Session, Starter
from link.version import VERSION
from tests.gui.machine.stage import MACHINE, OTHER, RUNNING, Stage
from tests.gui.machine.words_of import machine, status
from tests.served_backend import ServedBackend


def label(card: MachineCard, name: str) -> str:
    found = card.findChild(QLabel, name)
    assert isinstance(found, QLabel)
    return found.text()


def refresh(stage: Stage, change: Callable[[], None]) -> None:
    """Let something change in the daemon, and be seen."""
    stage.served.do(change)
    with stage.qtbot.waitSignal(stage.session.statusChanged):
        stage.session.refresh()


def test_the_machine_in_use_is_shown_with_all_that_is_known_of_it(stage: Stage) -> None:
    def since() -> None:
        stage.backend.machine_states[MACHINE].linked_at = time.monotonic() - 3 * 3600 - 300

    refresh(stage, since)
    (card,) = stage.page.cards.cards
    machine = stage.served.do(stage.backend.status).machine
    assert (card.name, label(card, "card-state")) == (MACHINE, "Connected")
    assert card.texts == {
        "connected-for": "3 h 5 min",
        "kernel": machine.kernel,
        "transport": machine.transport,
        "agent": f"{VERSION}, on Python {machine.python}",
        "watcher": machine.watcher,
    }
    assert card.hints == {}
    assert card.command == f"export DOCKER_HOST={machine.docker_host}"
    assert card.accessibleName() == f"{MACHINE}: Connected"


@pytest.mark.parametrize(
    ("state", "icon"),
    [
        ("stopped", "stop"),
        ("starting", "pending"),
        ("connecting", "pending"),
        ("connected", "active"),
        ("reconnecting", "pending"),
        ("failed", "conflict"),
    ],
)
def test_each_state_is_told_by_an_icon_and_in_words(qtbot: QtBot, state: str, icon: str) -> None:
    cards = MachineCards()
    qtbot.addWidget(cards)
    cards.show_status(status(machine("vm", state)))
    (card,) = cards.cards
    assert label(card, "card-state") == state.capitalize()
    assert icon in [each.name for each in card.findChildren(IconLabel)]


def test_all_that_are_attached_are_shown_the_current_one_first(stage: Stage) -> None:
    def attach() -> None:
        for name, link in ((OTHER, "connecting"), (RUNNING, "reconnecting")):
            stage.backend.machine_states[name].link = link
        stage.backend.machine_states[RUNNING].problem = "the connection was lost"

    refresh(stage, attach)
    cards = {card.name: card for card in stage.page.cards.cards}
    assert list(cards) == [MACHINE, OTHER, RUNNING]
    assert "current" in label(cards[MACHINE], "card-kind")
    assert "beside" in label(cards[OTHER], "card-kind")
    assert label(cards[RUNNING], "card-problem") == "the connection was lost"
    assert cards[RUNNING].command == ""


def test_a_card_stays_what_it_is_while_its_machine_does(stage: Stage) -> None:
    (before,) = stage.page.cards.cards
    refresh(stage, lambda: setattr(stage.backend.machine_states[OTHER], "link", "connected"))
    assert stage.page.cards.cards[0] is before
    refresh(stage, lambda: setattr(stage.backend.machine_states[OTHER], "link", "stopped"))
    assert stage.page.cards.cards == [before]


def test_a_machine_that_failed_says_why_and_what_to_do(stage: Stage) -> None:
    def fail() -> None:
        stage.backend.machine_states[MACHINE].link = "failed"
        stage.backend.machine_states[MACHINE].problem = "no space left"

    refresh(stage, fail)
    (card,) = stage.page.cards.cards
    problem = label(card, "card-problem")
    assert problem.startswith("no space left\n")
    assert "Examine" in problem
    assert stage.table.entry is not None
    assert stage.table.entry.state == "failed"


def test_an_agent_of_another_version_and_limits_of_the_way_are_marked(qtbot: QtBot) -> None:
    cards = MachineCards()
    qtbot.addWidget(cards)
    odd = machine("vm", agent_version="0.0.9", transport_limits="a reset is an end")
    cards.show_status(status(odd))
    (card,) = cards.cards
    assert card.hints["transport"] == "a reset is an end"
    assert "0.1.0" in card.hints["agent"]
    shown = [each.name for each in card.findChildren(IconLabel) if not each.isHidden()]
    assert {"warning", "info"} <= set(shown)


def test_the_engines_address_can_be_copied(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(parts, "copy_text", copied.append)
    (card,) = stage.page.cards.cards
    (button,) = card.findChildren(CopyButton)
    button._over.setInterval(1)
    with stage.qtbot.waitSignal(button._over.timeout):
        button.click()
    assert copied == [card.command]


def test_words_of_a_machine_are_text_of_bearable_length(qtbot: QtBot) -> None:
    evil = "<img src=x>\x1b[31m\u202e" * 1000
    cards = MachineCards()
    qtbot.addWidget(cards)
    cards.show_status(
        status(
            machine(
                *(evil, "reconnecting"),
                kernel=evil,
                watcher=evil,
                transport=evil,
                transport_limits=evil,
                agent_version=evil,
                problem=evil,
            )
        )
    )
    (card,) = cards.cards
    labels = card.findChildren(QLabel)
    assert all(each.textFormat().name != "RichText" for each in labels)
    assert max(len(each.text()) for each in labels) <= 1100
    assert not any("\x1b" in each.text() or "\u202e" in each.text() for each in labels)


def test_where_there_is_no_machine_it_is_said_what_to_install(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> MachineList:
        return MachineList([])

    monkeypatch.setattr(stage.backend, "machines", nothing)
    refresh(stage, lambda: setattr(stage.backend.machine_states[MACHINE], "link", "stopped"))
    stage.press("search")
    stage.until_done()
    assert stage.text("machine-state") == "No machine was found"
    assert "Install" in stage.text("machine-state-words")
    assert stage.page.cards.cards == []


def test_the_current_machine_that_is_not_attached_says_how_to_go_on(stage: Stage) -> None:
    def stop() -> None:
        stage.backend.machine_states[MACHINE].link = "stopped"

    refresh(stage, stop)
    (card,) = stage.page.cards.cards
    assert "not attached" in label(card, "card-problem")
    assert stage.text("machine-state") == ""


def test_without_a_daemon_nothing_is_claimed(stage: Stage) -> None:
    stage.served.do(stage.backend.stopped.set)
    stage.until(lambda: stage.session.link is not Link.READY)
    assert stage.page.cards.cards == []
    assert "connection" in stage.text("machine-state-words")


def test_machines_are_looked_for_as_soon_as_there_is_a_daemon(
    qtbot: QtBot, machines: ServedBackend
) -> None:
    session = Session(address_of(machines.paths.api_socket), Starter(["false"]))
    page = MachinePage(session)
    qtbot.addWidget(page)
    page.show()
    assert not page.choosing.searching.is_running
    session.open()
    qtbot.waitUntil(lambda: page.choosing.searching.found is not None)
    assert machines.backend.searches == 1
    session.close()


def test_a_page_that_nobody_sees_looks_for_nothing(
    qtbot: QtBot, machines: ServedBackend, session: Session
) -> None:
    page = MachinePage(session)
    qtbot.addWidget(page)
    with qtbot.waitSignal(session.statusChanged):
        session.refresh()
    assert machines.backend.searches == 0
    assert [card.name for card in page.cards.cards] == [MACHINE]


def test_a_page_that_is_gone_waits_for_nothing(qtbot: QtBot, machines: ServedBackend) -> None:
    session = Session(address_of(machines.paths.api_socket), Starter(["false"]))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    machines.do(machines.backend.sight.clear)
    machines.do(machines.backend.gate.clear)
    page = MachinePage(session)
    page.show()
    page.choosing.work.begin(Action.START, OTHER)
    qtbot.waitUntil(lambda: machines.backend.searches == 1 and bool(machines.backend.calls))
    page.close()
    page.deleteLater()
    ended = {"cancelled search", f"cancelled {OTHER}"}
    qtbot.waitUntil(lambda: ended <= set(machines.backend.calls))
    session.close()


def test_a_machine_that_appears_in_a_search_is_in_the_list(stage: Stage) -> None:
    stage.backend.machine_states["new"] = FakeMachine("new", "running", kind="rancher")
    stage.press("search")
    stage.until_done()
    assert "new" in [each.name for each in stage.table.entries]
