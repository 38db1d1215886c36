"""The session of the window, with a real control API over a real socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from desktop.api.fake import FakeMachine, fake_row
from desktop.api.stream import address_of
from desktop.api.types import PortDelta, PortRow, row_key
from gui.session import Link, Problem, Question, Session, Starter
from gui.state_view import perform
from gui.states import Action
from tests.gui.impostor import Impostor, greeting_only, rightly, table
from tests.promptness import promptly
from tests.served_backend import ServedBackend


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServedBackend]:
    with ServedBackend(tmp_path) as served:
        yield served


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "api.sock"


@pytest.fixture
def session(path: Path) -> Iterator[Session]:
    """Watching, but not open yet."""
    session = Session(address_of(path), Starter(["false"]))
    session.set_watching(True)
    yield session
    session.close()


@pytest.fixture
def ready(qtbot: QtBot, daemon: ServedBackend, session: Session) -> Session:
    """It knows everything of a daemon without rows."""
    assert daemon.backend.calls == []
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    return session


def change(daemon: ServedBackend, *ports: int, removed: tuple[int, ...] = ()) -> None:
    """Let ports come and go, as one change."""
    gone = [fake_row(port) for port in removed]
    daemon.do(lambda: daemon.backend.change([fake_row(port) for port in ports], gone))


def unexpected(what: object) -> None:
    pytest.fail(f"not expected: {what}")


class Deltas:
    """What the session told of its rows, kept as a page would keep it."""

    def __init__(self, session: Session) -> None:
        self.told: list[PortDelta] = []
        self.times: list[float] = []
        self.resets = 0
        self.rows = dict(session.rows)
        self._session = session
        session.portsReset.connect(self._reset)
        session.portsChanged.connect(self._change)

    def _reset(self) -> None:
        self.resets += 1
        self.rows = dict(self._session.rows)

    def _change(self, delta: PortDelta) -> None:
        self.told.append(delta)
        self.times.append(time.monotonic())
        for row in delta.removed:
            del self.rows[row_key(row)]
        self.rows.update({row_key(row): row for row in (*delta.added, *delta.changed)})
        assert self.rows == self._session.rows


# What is known


def test_it_knows_everything_once_ready(
    qtbot: QtBot, daemon: ServedBackend, session: Session
) -> None:
    rows = [fake_row(port) for port in range(8000, 13000)]
    daemon.do(lambda: daemon.backend.change(rows))
    deltas = Deltas(session)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    assert session.status is not None
    assert session.status.machine.name == "sandbox"
    assert session.settings["reachHost"].value is True
    assert set(session.rows) == {row_key(row) for row in rows}
    assert session.containers["sandbox", "c0ffee"].name == "web"
    assert (deltas.resets, deltas.told) == (1, [])


def test_values_come_before_their_signals(
    qtbot: QtBot, daemon: ServedBackend, session: Session
) -> None:
    change(daemon, 8000)
    known: list[tuple[str, bool]] = []
    session.statusChanged.connect(lambda: known.append(("status", session.status is not None)))
    session.settingsChanged.connect(lambda: known.append(("settings", bool(session.settings))))
    session.portsReset.connect(lambda: known.append(("ports", bool(session.rows))))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    assert sorted(set(known)) == [("ports", True), ("settings", True), ("status", True)]


def test_what_another_client_sets_is_seen(
    qtbot: QtBot, daemon: ServedBackend, ready: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.session.POLL_SECONDS", 0.05)
    with qtbot.waitSignal(ready.settingsChanged):
        daemon.run(daemon.backend.set_setting("ignore", ["tcp:7000"]))
    assert ready.settings["ignore"].value == ["tcp:7000"]


def test_settings_that_stay_the_same_are_not_told_again(qtbot: QtBot, ready: Session) -> None:
    told = QSignalSpy(ready.settingsChanged)
    statuses = QSignalSpy(ready.statusChanged)
    ready.refresh()
    qtbot.waitUntil(lambda: statuses.count() > 0)
    ready.refresh()
    qtbot.waitUntil(lambda: statuses.count() > 1)
    assert told.count() == 0


# The port table


def test_a_change_is_told_at_once(qtbot: QtBot, daemon: ServedBackend, ready: Session) -> None:
    deltas = Deltas(ready)

    def told_after() -> float:
        nonlocal deltas
        if ready.rows:  # of a try before
            change(daemon, removed=(8000,))
            qtbot.waitUntil(lambda: not ready.rows)
        deltas = Deltas(ready)
        began = time.monotonic()
        change(daemon, 8000)
        qtbot.waitUntil(lambda: bool(deltas.told))
        return time.monotonic() - began

    promptly(told_after, 0.25)
    (delta,) = deltas.told
    assert [row.host_port for row in delta.added] == [8000]
    assert ready.containers["sandbox", "c0ffee"].name == "web"
    change(daemon, removed=(8000,))
    qtbot.waitUntil(lambda: len(deltas.told) == 2)
    assert (ready.rows, ready.containers) == ({}, {})


def test_many_changes_are_told_as_few(qtbot: QtBot, daemon: ServedBackend, ready: Session) -> None:
    deltas = Deltas(ready)
    ports = range(8000, 8200)
    for port in ports:
        change(daemon, port)
        if port % 2:
            change(daemon, removed=(port,))
    left = {row_key(fake_row(port)) for port in ports if not port % 2}
    qtbot.waitUntil(lambda: set(deltas.rows) == left)
    gaps = [later - earlier for earlier, later in zip(deltas.times, deltas.times[1:], strict=False)]
    assert all(gap > 0.08 for gap in gaps)
    assert len(deltas.told) < 50
    assert deltas.resets == 0


def test_rows_are_what_was_told_and_not_what_is_about_to_be(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    change(daemon, 8000)
    qtbot.waitUntil(lambda: bool(ready.rows))
    change(daemon, 8001)
    received = ready._feed._gathering
    qtbot.waitUntil(lambda: bool(received) or len(ready.rows) == 2)
    late = Deltas(ready)
    qtbot.waitUntil(lambda: len(ready.rows) == 2)
    assert late.rows == ready.rows


# Nobody looks


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.session.HIDDEN_POLL_SECONDS", 0.05)


def with_conflicts(count: int, revision: int) -> Callable[[dict[str, Any]], list[object]]:
    """A daemon that has so many, and rows of that revision."""

    def answer(message: dict[str, Any]) -> list[object]:
        (line,) = rightly(message)
        assert isinstance(line, dict)
        if message.get("method") == "status":
            line["result"]["ports"]["conflict"] = count
        elif message.get("method") == "ports":
            rows = [fake_row(8000 + port, state="conflict") for port in range(count)]
            line["result"] = table(revision, rows)
        return [line]

    return answer


@pytest.mark.usefixtures("haste")
def test_while_nobody_looks_only_the_status_is_asked_for(qtbot: QtBot, path: Path) -> None:
    session = Session(address_of(path), Starter(["false"]))
    with Impostor(path) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        assert sorted(daemon.methods()) == ["ports", "settings", "status"]
        daemon.heard.clear()
        qtbot.waitUntil(lambda: len(daemon.heard) == 5)
        assert daemon.methods() == ["status"] * 5
        assert len(daemon.clients) == 1
        session.close()


@pytest.mark.usefixtures("haste")
def test_a_conflict_is_seen_while_nobody_looks(qtbot: QtBot, path: Path) -> None:
    session = Session(address_of(path), Starter(["false"]))
    with Impostor(path) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        deltas = Deltas(session)
        daemon.answer = with_conflicts(2, revision=5)
        qtbot.waitUntil(lambda: len(session.rows) == 2)
        assert daemon.methods().count("ports") == 2
        daemon.answer = with_conflicts(1, revision=6)
        qtbot.waitUntil(lambda: len(session.rows) == 1)
        assert daemon.methods().count("ports") == 3
        assert deltas.resets == 0
        session.close()


def test_looking_again_tells_what_changed_meanwhile_as_changes(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    change(daemon, 8000, 8001)
    qtbot.waitUntil(lambda: len(ready.rows) == 2)
    deltas = Deltas(ready)
    ready.set_watching(False)
    qtbot.waitUntil(lambda: daemon.do(lambda: not daemon.backend.feed._subscriptions))
    change(daemon, 8002, removed=(8000,))
    ready.set_watching(True)
    qtbot.waitUntil(lambda: bool(deltas.told))
    assert [row.host_port for row in deltas.told[0].added] == [8002]
    assert [row.host_port for row in deltas.told[0].removed] == [8000]
    assert deltas.resets == 0
    change(daemon, 8003)
    qtbot.waitUntil(lambda: len(ready.rows) == 3)


# Calls


def test_a_change_is_made_and_then_all_is_fresh(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    results: list[Any] = []
    with qtbot.waitSignal(ready.settingsChanged):
        ready.call("set_enabled", {"enabled": True}, then=results.append, fails=unexpected)
        assert results == []
    assert results == [None]
    assert ready.settings["hostNetworkingEnabled"].value is True
    qtbot.waitUntil(lambda: ready.status is not None and ready.status.enabled)
    assert daemon.backend.calls == ["set hostNetworkingEnabled"]


def test_a_daemons_error_comes_as_it_is(qtbot: QtBot, ready: Session) -> None:
    problems: list[Problem] = []
    for method in ("check_setting", "set_setting"):
        params = {"key": "ignore", "value": ["tcp:80-70"]}
        ready.call(method, params, then=unexpected, fails=problems.append)
    qtbot.waitUntil(lambda: len(problems) == 2)
    assert problems[0] == problems[1]
    assert problems[0].code == "USAGE"
    assert "ends before it begins" in problems[0].message


def test_any_number_of_calls_may_be_made_at_once(qtbot: QtBot, ready: Session) -> None:
    results: list[Any] = []
    for number in range(100):
        params = {"key": "udpIdleSeconds", "value": number + 1}
        ready.call("check_setting", params, then=results.append, fails=unexpected)
    qtbot.waitUntil(lambda: len(results) == 100)
    assert ready.link is Link.READY


def test_a_call_that_is_too_long_fails_by_itself(qtbot: QtBot, ready: Session) -> None:
    problems: list[Problem] = []
    params = {"key": "ignore", "value": "x" * (1 << 20)}
    ready.call("set_setting", params, then=unexpected, fails=problems.append)
    qtbot.waitUntil(lambda: len(problems) == 1)
    assert problems[0].code == "USAGE"
    assert ready.link is Link.READY


def test_a_long_call_tells_its_progress_and_others_do_not_wait_for_it(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    daemon.do(daemon.backend.gate.clear)
    told: list[str] = []
    results: list[Any] = []
    ready.call("attach", then=results.append, fails=unexpected, progress=told.append)
    qtbot.waitUntil(lambda: told == ["starting sandbox"])
    ready.call("settings", then=lambda _: results.append("settings"), fails=unexpected)
    qtbot.waitUntil(lambda: results == ["settings"])
    daemon.do(daemon.backend.gate.set)
    qtbot.waitUntil(lambda: results == ["settings", []])
    qtbot.waitUntil(lambda: ready.status is not None and ready.status.machine.state == "connected")


def test_a_question_is_asked_and_answered(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    daemon.backend.question = "Password of me@box:"
    results: list[Any] = []
    questions: list[Question] = []
    ready.call("attach", then=results.append, fails=unexpected, ask=questions.append)
    qtbot.waitUntil(lambda: len(questions) == 1)
    assert (questions[0].text, questions[0].is_secret) == ("Password of me@box:", True)
    questions[0].answer("open sesame")
    questions[0].answer("too late")
    qtbot.waitUntil(lambda: results == [[]])
    assert "answered open sesame" in daemon.backend.calls
    questions[0].answer("much too late")


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_question_that_nobody_answers_ends_the_call(
    qtbot: QtBot, daemon: ServedBackend, ready: Session, is_asked: bool
) -> None:
    daemon.backend.question = "Password:"
    problems: list[Problem] = []
    ask = (lambda question: question.answer(None)) if is_asked else None
    ready.call("attach", then=unexpected, fails=problems.append, ask=ask)
    qtbot.waitUntil(lambda: len(problems) == 1)
    assert problems[0].code == "PERMISSION"


def test_a_long_call_that_is_cancelled_is_given_up_by_the_daemon(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    daemon.do(daemon.backend.gate.clear)
    call = ready.call("attach", then=unexpected, fails=unexpected)
    qtbot.waitUntil(lambda: daemon.do(daemon.backend.waiting.is_set))
    call.cancel()
    call.cancel()
    qtbot.waitUntil(lambda: "cancelled sandbox" in daemon.backend.calls)
    assert not ready._calls
    assert ready.link is Link.READY


def test_a_short_call_that_is_cancelled_is_not_called_back(qtbot: QtBot, ready: Session) -> None:
    results: list[Any] = []
    ready.call("settings", then=unexpected, fails=unexpected).cancel()
    ready.call("settings", then=results.append, fails=unexpected)
    qtbot.waitUntil(lambda: len(results) == 1)


def test_a_call_may_be_made_by_the_answer_to_another(qtbot: QtBot, ready: Session) -> None:
    results: list[Any] = []

    def again(result: Any) -> None:
        results.append(result)
        if len(results) < 5:
            method = "machines" if len(results) % 2 else "current_machine"
            ready.call(method, then=again, fails=unexpected)

    ready.call("machines", then=again, fails=unexpected)
    qtbot.waitUntil(lambda: len(results) == 5)


def test_nothing_is_called_back_after_the_end(qtbot: QtBot, path: Path, session: Session) -> None:
    with Impostor(path) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        daemon.answer = greeting_only
        for method in ("attach", "settings"):
            session.call(method, then=unexpected, fails=unexpected)
        qtbot.waitUntil(lambda: daemon.methods()[-2:].count("attach") == 1)
        links = QSignalSpy(session.linkChanged)
        session.close()
        qtbot.waitUntil(lambda: not daemon.clients)
        assert links.count() == 0


def test_it_may_be_closed_by_whoever_is_told(qtbot: QtBot, path: Path, session: Session) -> None:
    with Impostor(path) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        session.statusChanged.connect(lambda: session.close() if session.status is None else None)
        links: list[Link] = []
        session.linkChanged.connect(lambda: links.append(session.link))
        daemon.stop()
        qtbot.waitUntil(lambda: not session._is_open)
        assert links == [Link.CONNECTING]
        assert not session._retry.isActive()


def test_it_may_be_opened_again(qtbot: QtBot, daemon: ServedBackend, ready: Session) -> None:
    daemon.do(daemon.backend.gate.clear)
    change(daemon, 8000)
    qtbot.waitUntil(lambda: len(ready.rows) == 1)
    for method in ("attach", "settings"):
        ready.call(method, then=unexpected, fails=unexpected)
    ready.close()
    change(daemon, 8001, removed=(8000,))
    deltas = Deltas(ready)
    ready.open()
    qtbot.waitUntil(lambda: deltas.resets == 1)
    qtbot.waitUntil(lambda: ready.link is Link.READY)
    assert [row.host_port for row in deltas.rows.values()] == [8001]
    daemon.do(daemon.backend.gate.set)


def test_a_method_that_the_daemon_does_not_have_is_a_mistake_of_ours(ready: Session) -> None:
    with pytest.raises(ValueError, match="no method fly"):
        ready.call("fly", then=unexpected, fails=unexpected)


def test_without_a_daemon_calls_fail(qtbot: QtBot, session: Session) -> None:
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    problems: list[Problem] = []
    for method in ("settings", "attach"):
        session.call(method, then=unexpected, fails=problems.append)
    assert problems == []
    qtbot.waitUntil(lambda: len(problems) == 2)
    assert {problem.code for problem in problems} == {"NOT_RUNNING"}


def test_the_end_of_a_daemon_that_was_asked_for_is_the_end(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    results: list[Any] = []
    ready.call("shutdown", then=results.append, fails=unexpected)
    qtbot.waitUntil(lambda: results == [None])
    qtbot.waitUntil(lambda: ready.link is Link.ABSENT)
    daemon.join()


def test_a_machine_that_is_chosen_is_in_the_status(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    daemon.backend.machine_states["colima"] = FakeMachine("colima")
    results: list[Any] = []
    ready.call("use", {"name": "colima"}, then=results.append, fails=unexpected)
    qtbot.waitUntil(lambda: results == [None])
    qtbot.waitUntil(lambda: ready.status is not None and ready.status.machine.name == "colima")
    qtbot.waitUntil(lambda: ready.settings["machine"].value == "colima")
    rows: list[PortRow] = []
    assert list(ready.rows.values()) == rows


# Calls are answered, whatever comes between


def test_a_call_that_is_made_as_its_connection_ends_is_answered(
    qtbot: QtBot, ready: Session
) -> None:
    ended: list[str] = []

    def again(_problem: Problem) -> None:
        ended.append("first")
        ready.call("status", then=lambda _: ended.append("then"), fails=note_failure)

    def note_failure(_problem: Problem) -> None:
        ended.append("failed")

    ready.call("status", then=unexpected, fails=again)
    assert ready._main is not None
    ready._main._lost()
    qtbot.waitUntil(lambda: len(ended) == 2)
    assert ended[0] == "first"
    qtbot.waitUntil(lambda: ready.link is Link.READY)
    assert ready._calls == set()


def test_trying_again_fails_what_is_under_way_once(
    qtbot: QtBot, daemon: ServedBackend, ready: Session
) -> None:
    daemon.do(daemon.backend.gate.clear)
    problems: list[Problem] = []
    ready.call("start", {"name": "sandbox"}, then=unexpected, fails=problems.append)
    qtbot.waitUntil(daemon.backend.waiting.is_set)
    perform(Action.RETRY, ready, unexpected, unexpected)
    assert len(problems) == 1
    qtbot.waitUntil(lambda: ready.link is Link.READY)
    qtbot.waitUntil(lambda: "cancelled sandbox" in daemon.backend.calls)
    assert len(problems) == 1


def test_a_call_too_long_to_send_fails_later_and_not_within_it(
    qtbot: QtBot, ready: Session
) -> None:
    problems: list[Problem] = []
    value = "x" * (1 << 21)
    params = {"key": "ignore", "value": value}
    ready.call("check_setting", params, then=unexpected, fails=problems.append)
    assert problems == []
    qtbot.waitUntil(lambda: len(problems) == 1)
    assert ready.link is Link.READY


@pytest.mark.parametrize("is_questioners", [True, False])
def test_the_end_of_what_the_questioner_is_asked_for_is_told(
    qtbot: QtBot, daemon: ServedBackend, ready: Session, is_questioners: bool
) -> None:
    def give_up(question: Question) -> None:
        question.answer(None)

    daemon.backend.question = "Password:"
    ready.questioner = give_up
    over = QSignalSpy(ready.askingEnded)
    problems: list[Problem] = []
    ask = give_up if is_questioners else lambda question: question.answer(None)
    ready.call("attach", {"machine": None}, then=unexpected, fails=problems.append, ask=ask)
    qtbot.waitUntil(lambda: len(problems) == 1)
    assert over.count() == is_questioners
