"""Examinations: a program that is run, what it finds, and all that it may do instead."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PySide6.QtWidgets import QPushButton, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from gui.machine.activity import Activity
from gui.machine.examination import Examination
from gui.machine.findings import Finding
from gui.session import Problem
from tests.capabilities import POSIX_PROCESSES, needs
from tests.gui.machine.stage import MACHINE, OTHER, Stage

FOUND = """
import json, sys
print("checking daemon", file=sys.stderr, flush=True)
print(json.dumps([
    {"check": "daemon", "state": "ok", "evidence": " ".join(sys.argv[1:]), "remedy": ""},
    {"check": "ports", "state": "error", "evidence": "one is taken", "remedy": "stop it"},
]))
sys.exit(1)
"""
STEPS = """
import json, sys
print(json.dumps([{"step": "agent", "state": "ok", "evidence": " ".join(sys.argv[1:])}]))
"""
FAILS = """
import sys
print("samehost: unknown machine: colima", file=sys.stderr)
print("  known: none", file=sys.stderr)
sys.exit(2)
"""
HANGS = """
import os, signal, sys, time
def leave(*_):
    open(sys.argv[-1], "a").write("left\\n")
    sys.exit(130)
signal.signal(signal.SIGINT, leave)
print(os.getpid(), file=sys.stderr, flush=True)
while True:
    time.sleep(60)
"""
DEAF = HANGS.replace("sys.exit(130)", "pass")


SETTLED_MS = 50
"""Milliseconds in which a page that scrolls by itself has done so."""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def activity(stage: Stage) -> Activity:
    return stage.find(Activity, "examination")


def until_examined(stage: Stage) -> None:
    stage.until(lambda: not stage.page.examining.is_running)


class Patient:
    """An examination, and what it told."""

    def __init__(self, qtbot: QtBot, examination: Examination | None = None) -> None:
        self.qtbot = qtbot
        self.examination = examination or Examination()
        self.told: list[str] = []
        self.found: list[list[Finding]] = []
        self.failed: list[Problem] = []
        self.examination.told.connect(self.told.append)
        self.examination.found.connect(self.found.append)
        self.examination.failed.connect(self.failed.append)

    def until_over(self) -> None:
        self.qtbot.waitUntil(lambda: not self.examination.is_running)

    def until_runs(self) -> int:
        """Its process id, once it has said that."""
        self.qtbot.waitUntil(lambda: bool(self.told))
        return int(self.told[0])


@pytest.fixture
def patient(qtbot: QtBot) -> Iterator[Patient]:
    patient = Patient(qtbot)
    yield patient
    patient.examination.deleteLater()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def last_words(left: Path) -> str:
    """What one that was interrupted has written."""
    return left.read_text() if left.exists() else ""


LEFT = "left\n" if POSIX_PROCESSES.is_there else ""
"""Elsewhere none can be interrupted, and it is ended at once."""


def test_problems_are_shown_first_with_their_remedies(stage: Stage) -> None:
    stage.doctor = FOUND
    stage.press("examine")
    assert activity(stage).is_running
    assert not stage.is_offered("examine")
    until_examined(stage)
    assert stage.page.examining.findings == [
        Finding("ports", "error", "one is taken", "stop it"),
        Finding("daemon", "ok", "doctor --json", ""),
    ]
    assert "problem" in activity(stage).title
    assert activity(stage).lines == ["checking daemon"]
    assert stage.is_offered("examine")


def test_the_way_to_one_machine_is_examined(stage: Stage) -> None:
    stage.doctor = STEPS
    stage.act(OTHER, "examine-machine")
    until_examined(stage)
    (finding,) = stage.page.examining.findings
    assert finding.evidence == f"machine doctor --json {OTHER}"
    assert activity(stage).title == "All is well."


def test_a_name_is_never_taken_for_an_option(stage: Stage) -> None:
    stage.doctor = STEPS
    stage.page.examining.examine_machine("--oops")
    until_examined(stage)
    (finding,) = stage.page.examining.findings
    assert finding.evidence == "machine doctor --json"


def test_an_examination_needs_no_daemon(stage: Stage) -> None:
    stage.doctor = FOUND
    stage.served.do(stage.backend.stopped.set)
    stage.until(lambda: stage.page.cards.cards == [])
    stage.press("examine")
    until_examined(stage)
    assert len(stage.page.examining.findings) == 2


def test_what_is_found_is_scrolled_to_unless_somebody_has_gone_on(stage: Stage) -> None:
    stage.doctor = FOUND
    stage.page.resize(stage.page.width(), 400)
    bar = stage.find(QScrollArea, "machine-area").verticalScrollBar()
    rows = stage.find(QWidget, "examination-findings")
    bar.setValue(0)
    stage.page.examining.examine_all()
    stage.until(lambda: not activity(stage).visibleRegion().isEmpty())
    until_examined(stage)
    stage.until(lambda: rows.visibleRegion().boundingRect().height() == rows.height())
    bar.setValue(0)
    stage.page.examining.examine_all()
    stage.until(lambda: bar.value() > 0)
    bar.setValue(0)
    until_examined(stage)
    with stage.qtbot.assertNotEmitted(bar.valueChanged, wait=SETTLED_MS):
        pass


def test_an_examination_that_fails_says_why_and_what_to_do(stage: Stage) -> None:
    stage.doctor = FAILS
    stage.act(MACHINE, "examine-machine")
    until_examined(stage)
    assert activity(stage).outcome == [
        Finding("", "failed", "unknown machine: colima", "known: none")
    ]
    assert stage.find(QPushButton, "examine").isEnabled()


def test_an_examination_can_be_given_up(stage: Stage, tmp_path: Path) -> None:
    left = tmp_path / "left"
    stage.doctor = HANGS.replace("sys.argv[-1]", repr(str(left)))
    stage.press("examine")
    stage.until(lambda: activity(stage).lines != [])
    pid = int(activity(stage).lines[0])
    (cancel,) = activity(stage).findChildren(QPushButton, "cancel")
    cancel.click()
    assert activity(stage).title == "The examination was given up."
    assert stage.is_offered("examine")
    stage.until(lambda: is_gone(pid))
    assert last_words(left) == LEFT
    assert stage.page.examining.findings == []


def test_a_new_examination_takes_the_place_of_the_one_under_way(
    patient: Patient, tmp_path: Path
) -> None:
    patient.examination.run(python(HANGS, str(tmp_path / "left")))
    pid = patient.until_runs()
    patient.examination.run(python(FOUND))
    patient.until_over()
    assert len(patient.found) == 1
    patient.qtbot.waitUntil(lambda: is_gone(pid))


def test_one_that_does_not_end_when_asked_is_ended(qtbot: QtBot, tmp_path: Path) -> None:
    patient = Patient(qtbot, Examination(patience_ms=50))
    patient.examination.run(python(DEAF, str(tmp_path / "left")))
    pid = patient.until_runs()
    patient.examination.stop()
    assert not patient.examination.is_running
    patient.qtbot.waitUntil(lambda: is_gone(pid))
    assert last_words(tmp_path / "left") == LEFT
    assert (patient.found, patient.failed) == ([], [])


def test_none_outlives_its_owner(patient: Patient, tmp_path: Path) -> None:
    owner = Examination()
    told: list[str] = []
    owner.told.connect(told.append)
    owner.run(python(HANGS, str(tmp_path / "left")))
    patient.qtbot.waitUntil(lambda: bool(told))
    owner.deleteLater()
    patient.qtbot.waitUntil(lambda: is_gone(int(told[0])))


DROPS = """
import os, signal, sys
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop
from gui.machine.examination import Examination

def examine():
    examination, told = Examination(), []
    examination.told.connect(told.append)
    examination.run([sys.executable, "-c", sys.argv[1], sys.argv[2]])
    while not told:
        application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    process = examination._process
    examination.stop()
    os.kill(process.processId(), getattr(signal, "SIGKILL", signal.SIGTERM))
    assert process.waitForFinished()

application = QCoreApplication(sys.argv)
examine()
application.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
"""


@needs(POSIX_PROCESSES)
def test_one_that_has_ended_may_lose_its_owner_before_it_is_deleted(tmp_path: Path) -> None:
    """In a program of its own: what goes wrong there ends it."""
    subprocess.run(
        python(DROPS, DEAF, str(tmp_path / "left")),
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=True,
    )


QUITS = """
import sys
from gui import app
from gui.machine.page import MachinePage

program, code, left = sys.argv[1:]
make = MachinePage.__init__

def made(page, session, parent=None):
    make(page, session, parent, command=lambda *_: [sys.executable, "-c", code, left])
    page.examining.told.connect(lambda pid: (print(pid, flush=True), page.window().quit()))
    page.examining.examine_all()

MachinePage.__init__ = made
sys.exit(app.main([program, "--page", "machine"]))
"""


def test_none_outlives_the_program(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="samehost-") as home:
        program = subprocess.run(
            python(QUITS, "samehost", HANGS, str(tmp_path / "left")),
            cwd=Path(__file__).parents[3],
            env={**os.environ, "SAMEHOST_HOME": home},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (program.returncode, program.stderr) == (0, "")
    assert is_gone(int(program.stdout))
    assert last_words(tmp_path / "left") == LEFT


def test_one_that_prints_without_end_is_ended(patient: Patient) -> None:
    patient.examination.run(python("while True: print('x' * 1000)"))
    patient.until_over()
    (problem,) = patient.failed
    assert "without end" in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('hello')", "not understood"),
        ("pass", "not understood"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "did not end by itself",
            marks=needs(POSIX_PROCESSES),
        ),
        ("raise SystemExit(1)", "code 1"),
        ("import sys; sys.exit('samehost: no\\n  do that')", "no"),
    ],
)
def test_one_that_ends_without_findings_is_a_failure_with_words(
    patient: Patient, code: str, message: str
) -> None:
    patient.examination.run(python(code))
    patient.until_over()
    (problem,) = patient.failed
    assert message in problem.message
    assert patient.found == []


def test_one_that_cannot_be_started_is_a_failure_with_words(
    patient: Patient, tmp_path: Path
) -> None:
    patient.examination.run([str(tmp_path / "nothing")])
    patient.until_over()
    (problem,) = patient.failed
    assert "cannot be started" in problem.message
