"""The session of the window, with a real control API over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from desktop.api.fake import fake_row
from desktop.api.types import PortDelta, row_key
from gui.session import Link, Problem, Session, Starter
from tests.served_backend import ServedBackend


def unexpected(what: object) -> None:
    pytest.fail(f"not expected: {what}")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServedBackend]:
    with ServedBackend(tmp_path) as served:
        yield served


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(str(tmp_path / "run" / "api.sock"), Starter(["/bin/false"]))
    session.set_watching(True)
    yield session
    session.close()


def test_it_knows_everything_once_ready(
    qtbot: QtBot, daemon: ServedBackend, session: Session
) -> None:
    rows = [fake_row(port) for port in range(8000, 13000)]
    daemon.do(lambda: daemon.backend.change(rows))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    assert session.status is not None
    assert session.status.machine.name == "sandbox"
    assert session.settings["reachHost"].value is True
    assert set(session.rows) == {row_key(row) for row in rows}
    assert session.containers["sandbox", "c0ffee"].name == "web"


def test_a_change_is_told(qtbot: QtBot, daemon: ServedBackend, session: Session) -> None:
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    with qtbot.waitSignal(session.portsChanged) as told:
        daemon.do(lambda: daemon.backend.change([fake_row(8000)]))
    assert told.args is not None
    delta: PortDelta = told.args[0]
    assert [row.host_port for row in delta.added] == [8000]
    assert list(session.rows.values()) == delta.added


def test_a_call_brings_its_result_and_then_all_is_fresh(
    qtbot: QtBot, daemon: ServedBackend, session: Session
) -> None:
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    daemon.backend.calls.clear()
    results: list[Any] = []
    session.call("set_enabled", {"enabled": True}, then=results.append, fails=unexpected)
    with qtbot.waitSignal(session.settingsChanged):
        qtbot.waitUntil(lambda: results == [None])
    assert session.settings["hostNetworkingEnabled"].value is True
    assert daemon.backend.calls == ["set hostNetworkingEnabled"]


def test_without_a_daemon_it_is_absent_and_calls_fail(qtbot: QtBot, session: Session) -> None:
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    problems: list[Problem] = []
    session.call("status", then=unexpected, fails=problems.append)
    qtbot.waitUntil(lambda: bool(problems))
    assert problems[0].code == "NOT_RUNNING"
