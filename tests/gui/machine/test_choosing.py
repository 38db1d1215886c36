"""What a person can do with machines, how it goes, and how it ends."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QPushButton, QWidget

from desktop.api.fake import FakeMachine
from desktop.api.types import FindingInfo, MachineList
from gui.machine.activity import Activity
from gui.machine.findings import Finding
from gui.machine.stopping import StopDialog, what_stops
from gui.session import Link
from tests.gui.machine.stage import MACHINE, NEVER, OTHER, RUNNING, Stage
from tests.gui.stage import realistic_rows

ACTIONS = ("use", "attach", "detach", "start", "stop")


def activity(stage: Stage) -> Activity:
    return stage.find(Activity, "activity")


# The search


def test_machines_are_looked_for_once_when_the_page_is_seen_first(stage: Stage) -> None:
    assert [each.name for each in stage.table.entries] == [MACHINE, OTHER, RUNNING, NEVER]
    assert stage.text("search-state").startswith("4 machine")
    stage.page.hide()
    stage.page.show()
    for _ in range(2):
        with stage.qtbot.waitSignal(stage.session.statusChanged):
            stage.session.refresh()
    assert stage.backend.searches == 1


def test_they_are_looked_for_again_when_somebody_asks(stage: Stage) -> None:
    stage.served.do(stage.backend.sight.clear)
    stage.backend.machine_states["new"] = FakeMachine("new", kind="lima")
    stage.press("search")
    assert stage.find(QWidget, "search-progress").isVisible()
    assert stage.find(QPushButton, "search").accessibleName() == "Stop looking"
    stage.until(lambda: stage.backend.searches == 2)
    stage.served.do(stage.backend.sight.set)
    stage.until(lambda: "new" in [each.name for each in stage.table.entries])
    assert not stage.find(QWidget, "search-progress").isVisible()


def test_f5_looks_for_them_too(stage: Stage) -> None:
    stage.page.refresh()
    stage.page.refresh()
    stage.until_done()
    assert stage.backend.searches == 2


def test_a_search_can_be_given_up_and_the_daemon_gives_it_up_too(stage: Stage) -> None:
    stage.served.do(stage.backend.sight.clear)
    stage.press("search")
    stage.until(lambda: stage.backend.searches == 2)
    stage.press("search")
    stage.until(lambda: "cancelled search" in stage.calls())
    assert "given up" in stage.text("search-state")
    assert [each.name for each in stage.table.entries] == [MACHINE, OTHER, RUNNING, NEVER]


def test_what_kept_machines_from_being_found_is_told_with_its_remedy(stage: Stage) -> None:
    stage.backend.findings.append(FindingInfo("limactl hangs", "see: limactl list"))
    stage.press("search")
    stage.until_done()
    assert stage.page.choosing.searching.findings == [
        Finding("", "warning", "limactl hangs", "see: limactl list")
    ]
    assert stage.text("finding-title") == "Warning: limactl hangs"
    assert stage.text("finding-remedy") == "see: limactl list"


def test_a_search_that_fails_keeps_what_is_known_and_says_why(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nonsense() -> list[str]:
        return ["a", "b"]

    monkeypatch.setattr(stage.backend, "machines", nonsense)
    stage.press("search")
    stage.until_done()
    assert "not understood" in stage.text("finding-title")
    assert len(stage.table.entries) == 4


def test_a_machine_that_is_never_attached_says_why_and_cannot_be(stage: Stage) -> None:
    stage.table.select(NEVER)
    assert stage.text("machine-note") == f"{NEVER} is never attached: OrbStack does it itself"
    assert not stage.is_offered("use")
    assert stage.find(QPushButton, "use").toolTip() == "OrbStack does it itself"
    stage.table.select(OTHER)
    assert stage.text("machine-note") == ""


# Actions


def test_to_use_a_machine_makes_it_the_current_one(stage: Stage) -> None:
    stage.act(OTHER, "use")
    stage.until_done()
    assert "set machine" in stage.calls()
    assert activity(stage).title == f"{OTHER} is the current machine."
    stage.until(lambda: [card.name for card in stage.page.cards.cards] == [OTHER])
    assert stage.table.entries[0].name == OTHER


def test_a_machine_can_be_attached_beside_the_current_one_and_detached(stage: Stage) -> None:
    stage.act(OTHER, "attach")
    stage.until_done()
    stage.until(lambda: [card.name for card in stage.page.cards.cards] == [MACHINE, OTHER])
    entry = stage.table.entry
    assert entry is not None
    assert (entry.name, entry.is_attached, entry.is_current) == (OTHER, True, False)
    stage.press("detach")
    stage.until_done()
    stage.until(lambda: [card.name for card in stage.page.cards.cards] == [MACHINE])
    assert f"detach {OTHER}" in stage.calls()
    assert stage.backend.machine_states[OTHER].state == "running"


def test_a_machine_can_be_started_without_being_attached(stage: Stage) -> None:
    stage.act(OTHER, "start")
    stage.until_done()
    assert stage.calls() == [f"start {OTHER}"]
    assert activity(stage).title == f"{OTHER} runs."
    entry = stage.table.entry
    assert entry is not None
    assert (entry.state, entry.is_attached) == ("running", False)


def test_what_makes_no_sense_is_not_offered(stage: Stage) -> None:
    stage.table.select(MACHINE)
    offered = [
        name for name in ("use", "attach", "detach", "start", "stop") if stage.is_offered(name)
    ]
    assert offered == ["detach", "stop"]
    assert "already" in stage.find(QPushButton, "use").accessibleDescription()


def test_what_the_administrator_has_locked_is_not_offered(stage: Stage) -> None:
    stage.backend.locked["machine"] = "locked by the administrator"
    stage.session.refresh()
    stage.table.select(OTHER)
    stage.until(lambda: not stage.is_offered("use"))
    assert stage.find(QPushButton, "use").toolTip() == "locked by the administrator"
    assert stage.is_offered("attach")


# Stopping


def test_before_a_machine_is_stopped_it_is_said_what_stops_with_it(stage: Stage) -> None:
    stage.act(MACHINE, "stop")
    dialog = stage.until_asked_to_stop()
    assert dialog.text() == f"Stop {MACHINE}?"
    assert "All its containers stop." in dialog.informativeText()
    assert "8 port" in dialog.informativeText()
    assert stage.calls() == []
    stop = dialog.findChild(QPushButton, "really-stop")
    assert isinstance(stop, QPushButton)
    stop.click()
    stage.until_done()
    assert stage.calls() == [f"stop {MACHINE}"]
    assert activity(stage).title == f"{MACHINE} is stopped."


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_whoever_does_not_say_so_stops_nothing(stage: Stage, key: Qt.Key) -> None:
    stage.act(MACHINE, "stop")
    dialog = stage.until_asked_to_stop()
    QTest.keyClick(dialog, key)
    stage.until(lambda: stage.dialog(StopDialog) is None)
    stage.press("search")
    stage.until_done()
    assert stage.calls() == []


def test_what_stops_is_counted_for_this_machine_only() -> None:
    rows = realistic_rows()
    assert len(what_stops(MACHINE, "colima", rows)) == 3
    assert what_stops("lima-old", "lima", rows) == ["All its containers stop."]
    assert "images" in what_stops("sandbox", "sandbox", rows)[-1]


# While it goes on


def test_while_something_is_under_way_its_progress_is_told_and_nothing_else_begun(
    stage: Stage,
) -> None:
    stage.hold()
    stage.act(OTHER, "use")
    stage.until(lambda: activity(stage).lines == [f"starting {OTHER}"])
    assert activity(stage).title == f"Changing to {OTHER}…"
    assert activity(stage).is_running
    for name in (*ACTIONS, "use-name", "attach-name"):
        assert not stage.is_offered(name)
    assert stage.is_offered("examine-machine")
    assert "under way" in stage.find(QPushButton, "use").toolTip()
    stage.let_go()
    stage.until_done()
    assert not activity(stage).is_running


def test_it_can_be_cancelled_and_the_daemon_gives_it_up(stage: Stage) -> None:
    stage.hold()
    stage.act(OTHER, "use")
    stage.until(lambda: activity(stage).lines != [])
    stage.press("cancel")
    stage.until(lambda: f"cancelled {OTHER}" in stage.calls())
    assert "given up" in activity(stage).title
    assert not activity(stage).is_running
    stage.until_done()
    assert stage.backend.searches == 2
    assert stage.is_offered("use")
    assert stage.backend.current == MACHINE
    assert "set machine" not in stage.calls()


def test_the_keyboard_goes_to_cancel_and_back_to_the_table(stage: Stage) -> None:
    stage.page.activateWindow()
    stage.hold()
    stage.table.select(OTHER)
    use = stage.find(QPushButton, "use")
    use.setFocus()
    stage.until(use.hasFocus)
    QTest.keyClick(use, Qt.Key.Key_Space)
    cancel = stage.find(QPushButton, "cancel")
    stage.until(cancel.hasFocus)
    QTest.keyClick(cancel, Qt.Key.Key_Space)
    stage.until(stage.table.hasFocus)
    assert not stage.page.choosing.work.is_running
    stage.until_done()


def test_what_was_begun_is_scrolled_to(stage: Stage) -> None:
    stage.page.resize(stage.page.width(), 200)
    stage.hold()
    stage.act(OTHER, "attach")
    stage.until(lambda: not activity(stage).visibleRegion().isEmpty())
    stage.let_go()
    stage.until_done()


def test_what_fails_says_why_and_what_to_do_where_it_was_begun(stage: Stage) -> None:
    stage.backend.machine_states[OTHER].problem = "its disk is full"
    stage.act(OTHER, "use")
    stage.until_done()
    assert activity(stage).title == f"{OTHER} could not be made the current machine"
    message = f"{OTHER} does not start: its disk is full"
    assert activity(stage).outcome == [Finding("", "failed", message, "wait")]
    assert stage.is_offered("use")
    stage.backend.machine_states[OTHER].problem = ""
    stage.press("use")
    stage.until_done()
    assert activity(stage).outcome == []


def test_a_daemon_that_is_lost_in_the_middle_is_told(stage: Stage) -> None:
    stage.hold()
    stage.act(OTHER, "use")
    stage.until(lambda: activity(stage).lines != [])
    stage.served.do(stage.backend.stopped.set)
    stage.until(lambda: not stage.page.choosing.work.is_running)
    (finding,) = activity(stage).outcome
    assert finding.state == "failed"
    assert finding.evidence
    stage.until(lambda: stage.session.link is not Link.READY)
    for name in (*ACTIONS, "search"):
        assert not stage.is_offered(name)
    assert "no connection" in stage.find(QPushButton, "use").toolTip()


def test_a_question_to_stop_goes_with_the_daemon(stage: Stage) -> None:
    stage.act(MACHINE, "stop")
    stage.until_asked_to_stop()
    stage.served.do(stage.backend.stopped.set)
    stage.until(lambda: stage.dialog(StopDialog) is None)
    assert stage.backend.calls == []


def test_nonsense_of_the_daemon_is_text_of_bearable_length(stage: Stage) -> None:
    evil = "x\x1b[31m\u202e\n" * 1500
    stage.backend.machine_states[evil] = FakeMachine(evil, kind="\x07" * 9999, note="")
    stage.backend.machine_states[evil].problem = evil
    stage.press("search")
    stage.until(lambda: evil in [each.name for each in stage.table.entries])
    stage.until_done()
    stage.act(evil, "start")
    stage.until_done()
    told = activity(stage)
    (finding,) = told.outcome
    assert len(told.title) < 200
    assert told.title.isprintable()
    assert len(finding.evidence) == 1000
    for name in ("activity-title", "finding-title"):
        assert "\x1b" not in stage.text(name)
        assert "\u202e" not in stage.text(name)


def test_progress_of_the_daemon_is_text_of_bearable_length(stage: Stage) -> None:
    evil = "\x1b[2Jx\u202e" * 2000
    activity(stage).begin("Looking…")
    for _ in range(300):
        activity(stage).tell(evil)
    lines = activity(stage).lines
    assert len(lines) == 200
    assert all(line.isprintable() and len(line) == 300 for line in lines)


# By name


def test_a_computer_that_no_tool_knows_is_used_by_its_name(stage: Stage) -> None:
    name = "ssh:ada@build.example.org"
    assert not stage.is_offered("use-name")
    stage.backend.machine_states[name] = FakeMachine(name, "unknown", kind="ssh")
    stage.enter("machine-name", "ada@build.example.org")
    assert name in stage.text("name-hint")
    QTest.keyClick(stage.find(QLineEdit, "machine-name"), Qt.Key.Key_Return)
    stage.until(lambda: stage.backend.current == name)
    stage.until_done()
    stage.until(lambda: [card.name for card in stage.page.cards.cards] == [name])


def test_it_can_be_attached_beside_the_current_one_too(stage: Stage) -> None:
    stage.backend.machine_states["sandbox-b"] = FakeMachine("sandbox-b", kind="sandbox")
    stage.enter("machine-name", "sandbox-b")
    stage.press("attach-name")
    stage.until_done()
    stage.until(lambda: [card.name for card in stage.page.cards.cards] == [MACHINE, "sandbox-b"])
    entry = stage.table.entry
    assert entry is not None
    assert entry.name == "sandbox-b"


def test_what_cannot_be_a_computer_is_told_at_the_field(stage: Stage) -> None:
    stage.enter("machine-name", "not a host")
    assert "user@host" in stage.text("name-hint")
    for name in ("use-name", "attach-name"):
        assert not stage.is_offered(name)
    QTest.keyClick(stage.find(QLineEdit, "machine-name"), Qt.Key.Key_Return)
    assert not stage.page.choosing.work.is_running


def test_a_computer_that_the_daemon_does_not_know_is_told(stage: Stage) -> None:
    stage.enter("machine-name", "nobody@nowhere")
    stage.press("use-name")
    stage.until_done()
    (finding,) = activity(stage).outcome
    assert finding.evidence == "unknown machine: ssh:nobody@nowhere"
    assert finding.remedy.startswith("known: ")


def test_an_empty_list_offers_nothing_but_to_name_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> MachineList:
        return MachineList([])

    monkeypatch.setattr(stage.backend, "machines", nothing)
    stage.backend.machine_states[MACHINE].link = "stopped"
    stage.press("search")
    stage.until_done()
    stage.session.refresh()
    stage.until(lambda: stage.table.entries == [])
    for name in (*ACTIONS, "examine-machine"):
        assert not stage.is_offered(name)
    assert stage.find(QPushButton, "use").toolTip() == "No machine is selected."
