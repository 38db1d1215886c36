"""The session with daemons that are killed, hang, talk nonsense, are others', and come back."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from desktop.api.fake import fake_row
from desktop.api.messages import MAX_LINE, hello
from desktop.api.stream import address_of
from desktop.api.types import PortRow, row_key
from gui.session import Limits, Link, Problem, Session, Starter
from link.version import PROTOCOL
from tests.capabilities import UNIX_SOCKETS, USER_IDS, needs
from tests.gui.impostor import Impostor, greeting_only, rightly, silence, table
from tests.served_backend import ServedBackend

NOBODY = 65534
"""A user id that owns nothing."""


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long."""
    monkeypatch.setattr("gui.session.SILENCE_SECONDS", 1.0)
    monkeypatch.setattr("gui.session.POLL_SECONDS", 0.05)
    monkeypatch.setattr("gui.session.FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("gui.session.LAST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("gui.feed.FIRST_RETRY_SECONDS", 0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "api.sock"


@pytest.fixture
def session(path: Path) -> Iterator[Session]:
    """Not open yet."""
    session = Session(address_of(path), Starter(["false"]), limits=Limits(hello=1.0, extra=0.0))
    session.set_watching(True)
    yield session
    session.close()


@pytest.fixture
def daemon(qtbot: QtBot, session: Session, path: Path) -> Iterator[Impostor]:
    """One that is right, with the session ready before it."""
    with Impostor(path) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        yield daemon


def links_of(session: Session) -> list[Link]:
    """The links from now on, as they are told."""
    links: list[Link] = []
    session.linkChanged.connect(lambda: links.append(session.link))
    return links


def unexpected(what: object) -> None:
    pytest.fail(f"not expected: {what}")


# None


def test_where_nothing_is_it_is_absent_and_stays_so_quietly(qtbot: QtBot, session: Session) -> None:
    links = links_of(session)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    ended = QSignalSpy(session._retry.timeout)
    qtbot.waitUntil(lambda: ended.count() >= 3)
    assert links == [Link.ABSENT]
    assert session.problem is None


@needs(UNIX_SOCKETS)
def test_a_socket_that_a_killed_daemon_left_is_no_daemon(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)


def test_a_daemon_that_comes_is_found(qtbot: QtBot, session: Session, path: Path) -> None:
    links = links_of(session)
    session.open()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    with Impostor(path):
        qtbot.waitUntil(lambda: session.link is Link.READY)
    assert links == [Link.ABSENT, Link.CONNECTING, Link.READY]


# Not ours


@needs(USER_IDS)
def test_a_socket_that_we_may_not_open_is_refused(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    with Impostor(path):
        path.chmod(0)
        path.parent.chmod(0o755)
        ours = os.geteuid()
        if ours == 0:  # who may open anything
            os.seteuid(NOBODY)
        try:
            session.open()
            qtbot.waitUntil(lambda: session.link is Link.REFUSED)
        finally:
            os.seteuid(ours)
        assert session.problem is not None
        assert str(path) in session.problem.message
        path.chmod(0o600)
        qtbot.waitUntil(lambda: session.link is Link.READY)


def test_a_daemon_that_says_it_is_anothers_is_refused(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    error = {"code": "PERMISSION", "message": "it belongs to another user", "remedy": "be they"}
    with Impostor(path, lambda _: [{"error": error}]):
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.REFUSED)
    assert session.problem == Problem(error["message"], error["remedy"], error["code"])


# Of another kind

OTHER_VERSION = {"code": "VERSION_MISMATCH", "message": "I am another", "remedy": "restart me"}


@pytest.mark.parametrize(
    "said",
    [
        {"hello": {"protocol": PROTOCOL + 1, "version": "99"}},
        {"hello": {"protocol": "many"}},
        {"error": OTHER_VERSION},
        [],
        3,
        {"id": 1},
        b"\x00\xff\xfe\x80\n",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"x" * (MAX_LINE + 1),
    ],
)
def test_what_does_not_speak_our_protocol_is_foreign_until_something_does(
    qtbot: QtBot, session: Session, path: Path, said: object
) -> None:
    with Impostor(path, lambda _: [said]) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.FOREIGN)
        assert session.problem is not None
        assert session.problem.remedy
        links = links_of(session)
        count = len(daemon.heard)
        qtbot.waitUntil(lambda: len(daemon.heard) > count + 1)
        assert links == []
        daemon.answer = rightly
        qtbot.waitUntil(lambda: session.link is Link.READY)
        assert session.problem is None


def test_nonsense_at_once_is_foreign(qtbot: QtBot, session: Session, path: Path) -> None:
    with Impostor(path, silence, opening=b"SSH-2.0-OpenSSH_9.2\r\n"):
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.FOREIGN)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("status", {"version": 1}),
        ("settings", [{"key": "ignore"}]),
        ("subscribe", {"revision": 1, "ports": [{"origin": "machine"}]}),
    ],
)
def test_values_of_another_form_are_foreign(
    qtbot: QtBot, session: Session, path: Path, method: str, result: object
) -> None:
    def answer(message: dict[str, Any]) -> list[object]:
        if message.get("method") == method:
            return [{"id": message["id"], "result": result}]
        return list(rightly(message))

    with Impostor(path, answer) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.FOREIGN)
        assert session.problem is not None
        assert "nonsense" in session.problem.message
        links = links_of(session)
        count = daemon.methods().count(method)
        qtbot.waitUntil(lambda: daemon.methods().count(method) > count + 2)
        assert links == []


# One that hangs


@pytest.mark.parametrize("answer", [silence, greeting_only])
def test_one_that_does_not_answer_hangs_and_may_come_back(
    qtbot: QtBot, session: Session, path: Path, answer: Any
) -> None:
    with Impostor(path, answer) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.HUNG)
        assert session.problem is not None
        assert "does not answer" in session.problem.message
        links = links_of(session)
        daemon.answer = rightly
        daemon.drop()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        assert Link.ABSENT not in links


def test_a_greeting_that_never_comes_is_awaited_anew_again_and_again(
    qtbot: QtBot, path: Path
) -> None:
    session = Session(address_of(path), Starter(["false"]), limits=Limits(hello=0.3))
    with Impostor(path, silence) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.HUNG)
        links = links_of(session)
        qtbot.waitUntil(lambda: len(daemon.heard) >= 3)
        assert links == []
        session.close()


def test_one_that_stops_answering_hangs_until_it_answers_late(
    qtbot: QtBot, session: Session, daemon: Impostor
) -> None:
    links = links_of(session)
    daemon.answer = silence
    qtbot.waitUntil(lambda: session.link is Link.HUNG)
    assert session.status is not None
    number = daemon.request("status")
    for line in rightly({"id": number, "method": "status"}):
        daemon.say(line, 0)
    qtbot.waitUntil(lambda: session.link is Link.READY)
    assert links == [Link.HUNG, Link.READY]


def test_a_request_that_takes_longer_than_the_daemon_allows_itself_fails(
    qtbot: QtBot, path: Path
) -> None:
    requests = dict.fromkeys(("status", "settings", "subscribe", "ports", "attach"), 0.1)
    limits = Limits(hello=1.0, extra=0.1, requests=requests)
    session = Session(address_of(path), Starter(["false"]), limits=limits)
    with Impostor(path, greeting_only):
        session.open()
        problems: list[Problem] = []
        session.call("attach", then=unexpected, fails=problems.append)
        qtbot.waitUntil(lambda: len(problems) == 1)
        assert "does not answer" in problems[0].message
        qtbot.waitUntil(lambda: session.link is Link.HUNG)
        session.close()


# One that ends


def test_a_lost_daemon_is_tried_again_and_then_absent_and_nothing_is_known(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    with ServedBackend(path.parent.parent) as served:
        served.do(lambda: served.backend.change([fake_row(8000)]))
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        assert session.rows
        links = links_of(session)
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    assert links == [Link.CONNECTING, Link.ABSENT]
    assert (session.status, session.settings) == (None, {})
    assert (session.rows, session.containers) == ({}, {})


def test_a_daemon_that_was_restarted_is_followed_without_help(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    shown: set[object] = set()

    def reset() -> None:
        shown.clear()
        shown.update(session.rows)

    session.portsReset.connect(reset)
    session.portsChanged.connect(lambda delta: shown.update(map(row_key, delta.added)))
    for first in (8000, 8002, 8004):
        with ServedBackend(path.parent.parent) as served:
            rows = [fake_row(first), fake_row(first + 1)]
            served.do(lambda rows=rows: served.backend.change(rows))  # type: ignore[misc]
            session.open() if first == 8000 else None
            qtbot.waitUntil(lambda: session.link is Link.READY)
            assert shown == set(session.rows) == {row_key(row) for row in rows}
            more = [fake_row(9000)]
            served.do(lambda more=more: served.backend.change(more))  # type: ignore[misc]
            qtbot.waitUntil(lambda: row_key(fake_row(9000)) in session.rows)
            assert shown == set(session.rows)
        qtbot.waitUntil(lambda: session.link is Link.ABSENT)


def test_every_call_fails_once_when_the_daemon_ends(
    qtbot: QtBot, session: Session, daemon: Impostor
) -> None:
    daemon.answer = greeting_only
    problems: list[Problem] = []
    for method in ("settings", "attach", "machines", "check_setting", "set_setting"):
        session.call(method, then=unexpected, fails=problems.append)
    qtbot.waitUntil(lambda: daemon.methods().count("attach") == 1)
    daemon.stop()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    assert [problem.code for problem in problems] == ["NOT_RUNNING"] * 5


def test_a_daemon_that_is_killed_in_the_middle_of_a_line_is_lost_and_found(
    qtbot: QtBot, session: Session, daemon: Impostor
) -> None:
    links = links_of(session)
    for client in range(len(daemon.clients)):
        daemon.say(b'{"id": 1, "resu', client)
    daemon.clients[0].waitForBytesWritten()
    daemon.stop()
    qtbot.waitUntil(lambda: session.link is Link.ABSENT)
    daemon.start()
    qtbot.waitUntil(lambda: session.link is Link.READY)
    assert links == [Link.CONNECTING, Link.ABSENT, Link.CONNECTING, Link.READY]


def test_a_folder_may_have_any_name(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "ü b\u2603" / "api.sock"
    session = Session(address_of(path), Starter(["false"]))
    with Impostor(path):
        assert path.exists()
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        session.close()


def test_a_daemon_that_ends_each_connection_is_connecting_for_ever(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    with Impostor(path, silence) as daemon:

        def hang_up(_message: dict[str, Any]) -> list[object]:
            daemon.drop()
            return []

        daemon.answer = hang_up
        links = links_of(session)
        session.open()
        qtbot.waitUntil(lambda: len(daemon.heard) > 5)
        assert set(links) <= {Link.CONNECTING}
        assert session.link is Link.CONNECTING


def test_last_words_are_heard(qtbot: QtBot, session: Session, path: Path) -> None:
    error = {"code": "FAILED", "message": "more than 64 programs", "remedy": "end some"}
    with Impostor(path, silence) as daemon:

        def farewell(_message: dict[str, Any]) -> list[object]:
            daemon.say({"error": error})
            daemon.clients[-1].disconnectFromServer()
            return []

        daemon.answer = farewell
        session.open()
        qtbot.waitUntil(lambda: session.problem is not None)
        assert session.problem == Problem("more than 64 programs", "end some", "FAILED")
        assert session.link is Link.CONNECTING


# The port table


def delta(revision: int, added: list[PortRow]) -> dict[str, Any]:
    whole = table(revision, added)
    empty: dict[str, Any] = {"changed": [], "removed": [], "containers": []}
    return {"revision": revision, "added": whole["ports"], **empty}


def test_a_gap_in_the_revisions_is_closed_by_subscribing_anew(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    rows = [fake_row(8000)]

    def answer(message: dict[str, Any]) -> list[object]:
        if message.get("method") == "subscribe":
            return [{"id": message["id"], "result": table(10, rows)}]
        return list(rightly(message))

    with Impostor(path, answer) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.link is Link.READY)
        resets = QSignalSpy(session.portsReset)
        changes: list[Any] = []
        session.portsChanged.connect(changes.append)
        rows = [fake_row(8000), fake_row(8001)]
        number = daemon.request("subscribe")
        daemon.say({"id": number, "event": delta(12, [fake_row(8002)])})
        qtbot.waitUntil(lambda: bool(changes))
        assert set(session.rows) == {row_key(row) for row in rows}
        assert [row.host_port for row in changes[0].added] == [8001]
        assert daemon.methods().count("subscribe") == 2
        assert resets.count() == 0
        assert session.link is Link.READY


def test_a_subscription_that_is_dropped_is_made_anew_without_a_word(
    qtbot: QtBot, session: Session, daemon: Impostor
) -> None:
    links = links_of(session)
    resets = QSignalSpy(session.portsReset)
    daemon.clients[-1].abort()
    qtbot.waitUntil(lambda: daemon.methods().count("subscribe") == 2)
    qtbot.waitUntil(lambda: session._feed.is_known and not session._feed._retry.isActive())
    assert (links, resets.count()) == ([], 0)


def test_a_subscription_that_is_refused_is_said_and_tried_again(
    qtbot: QtBot, session: Session, path: Path
) -> None:
    error = {"code": "FAILED", "message": "more than 64 programs", "remedy": "end some"}

    def answer(message: dict[str, Any]) -> list[object]:
        if message.get("method") == "subscribe":
            return [{"id": message["id"], "error": error}]
        return list(rightly(message))

    with Impostor(path, answer) as daemon:
        session.open()
        qtbot.waitUntil(lambda: session.problem is not None)
        assert session.problem == Problem("more than 64 programs", "end some", "FAILED")
        assert session.link is Link.CONNECTING
        links = links_of(session)
        qtbot.waitUntil(lambda: daemon.methods().count("subscribe") > 3)
        assert links == []
        daemon.answer = rightly
        qtbot.waitUntil(lambda: session.link is Link.READY)


def test_a_flood_of_words_leaves_the_window_time_to_live(
    qtbot: QtBot, session: Session, daemon: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The session asks meanwhile, and is not answered: that is not what is tried here.
    monkeypatch.setattr("gui.session.SILENCE_SECONDS", 60.0)
    told: list[str] = []
    turns: list[int] = []
    idle = QTimer(interval=0)  # rings whenever the event loop comes by
    idle.timeout.connect(lambda: turns.append(len(told)))
    daemon.answer = greeting_only
    call = session.call("attach", then=unexpected, fails=unexpected, progress=told.append)
    qtbot.waitUntil(lambda: "attach" in daemon.methods())
    line = b'{"id":%d,"progress":"%s"}\n' % (daemon.request("attach"), b"x" * 900)
    idle.start()
    daemon.say(line * 4000)
    qtbot.waitUntil(lambda: len(told) == 4000, timeout=60_000)
    idle.stop()
    call.cancel()
    steps = [after - before for before, after in itertools.pairwise([0, *turns, 4000])]
    assert max(steps) < 400
    assert session.link is Link.READY


def test_a_hello_is_the_first_thing_that_is_said(daemon: Impostor) -> None:
    assert daemon.heard[0] == hello()
    assert len([each for each in daemon.heard if "hello" in each]) == 2
