"""Notifications: one for each trouble, none twice, many at once in one."""

from __future__ import annotations

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from desktop.api.fake import fake_row
from desktop.api.types import PortRow
from gui import notices as module
from gui.notices import FORGET_SECONDS, Notice, Notices, Notifier
from gui.session import Session
from tests.gui.stage import realistic_rows
from tests.gui.told import ToldSession
from tests.served_backend import ServedBackend

LONG = FORGET_SECONDS + 1
IN_USE = "TCP port 8000 of web is in use already"


def trouble(port: int = 8000, reason: str = "nginx (pid 7) has it") -> PortRow:
    return fake_row(port, state="conflict", reason=reason)


def test_a_trouble_is_told_with_its_port_its_owner_and_the_reason() -> None:
    notices = Notices()
    assert notices.see([trouble()], 0)
    assert notices.take() == Notice(
        "TCP port 8000 of web is in use already", "nginx (pid 7) has it"
    )


def test_what_may_not_be_opened_is_a_trouble_too() -> None:
    notices = Notices()
    notices.see([fake_row(80, state="denied", reason="needs a privilege")], 0)
    assert notices.take() == Notice("TCP port 80 of web may not be opened", "needs a privilege")


def test_a_port_of_this_computer_is_told_by_its_process() -> None:
    notices = Notices()
    notices.see([fake_row(22, origin="host", state="conflict", reason="sshd")], 0)
    assert notices.take() == Notice("TCP port 22 of nc is in use already", "sshd")


@pytest.mark.parametrize("state", ["active", "pending", "paused", "ignored"])
def test_other_states_are_no_trouble(state: str) -> None:
    notices = Notices()
    assert not notices.see([fake_row(8000, state=state)], 0)
    assert notices.take() is None


def test_nothing_is_told_twice_however_often_it_is_seen() -> None:
    notices = Notices()
    notices.see([trouble()], 0)
    assert notices.take() is not None
    for now in range(1, 1000, 50):
        assert not notices.see([trouble()], now)
    assert notices.take() is None


def test_another_reason_is_another_trouble() -> None:
    notices = Notices()
    notices.see([trouble()], 0)
    notices.take()
    assert notices.see([trouble(reason="caddy (pid 9) has it")], 1)
    assert notices.take() == Notice(
        "TCP port 8000 of web is in use already", "caddy (pid 9) has it"
    )


def test_a_trouble_that_comes_and_goes_is_told_once() -> None:
    notices = Notices()
    notices.see([trouble()], 0)
    notices.take()
    for now in range(1, 40, 2):
        notices.see([fake_row(8000)], now)
        assert not notices.see([trouble()], now + 1)


@pytest.mark.parametrize("way", ["healed", "gone"])
def test_a_trouble_that_was_over_for_long_is_told_again(way: str) -> None:
    notices = Notices()
    notices.see([trouble()], 0)
    notices.take()
    if way == "healed":
        notices.see([fake_row(8000)], 1)
    else:
        notices.gone([trouble()], 1)
    assert notices.see([trouble()], 1 + LONG)


def test_a_trouble_that_is_over_before_it_is_told_is_not_told() -> None:
    notices = Notices()
    notices.see([trouble()], 0)
    notices.see([fake_row(8000)], 0.1)
    assert notices.take() is None


def test_many_at_once_are_summed_up() -> None:
    notices = Notices()
    notices.see([trouble(port) for port in range(8000, 8040)], 0)
    notice = notices.take()
    assert notice is not None
    assert notice.title.startswith("40 ")
    assert notice.text.splitlines()[0] == "TCP port 8000 of web"
    assert len(notice.text.splitlines()) == module.NAMED + 1
    assert "36" in notice.text.splitlines()[-1]
    assert notices.take() is None


def test_what_is_known_of_ports_that_have_gone_is_forgotten() -> None:
    notices = Notices()
    for port in range(1000, 2000):
        notices.see([trouble(port)], port)
        notices.take()
        notices.gone([trouble(port)], port)
    assert len(notices._told) <= FORGET_SECONDS + 2
    assert len(notices._healed) <= FORGET_SECONDS + 2


def test_the_words_of_a_notice_are_only_words() -> None:
    notices = Notices()
    row = trouble(reason="a\x1b[31mb")
    assert row.container is not None
    container = msgspec.structs.replace(row.container, name="we\u202eb")
    notices.see([msgspec.structs.replace(row, container=container)], 0)
    notice = notices.take()
    assert notice is not None
    assert notice.title.startswith("TCP port 8000 of we\ufffdb")
    assert notice.text == "a\ufffd[31mb"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(module, "BETWEEN_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
def test_troubles_that_come_together_are_one_notification(qtbot: QtBot, told: ToldSession) -> None:
    shown: list[Notice] = []
    notifier = Notifier(told, shown.append)
    told.reset_rows([trouble(1)])
    told.change_rows([trouble(2)])
    told.change_rows([trouble(3)], [trouble(1)])
    qtbot.waitUntil(lambda: len(shown) == 1)
    assert shown[0].title.startswith("2 ")
    assert notifier.parent() is None


@pytest.mark.usefixtures("quick")
def test_a_daemon_that_is_lost_and_found_has_no_new_troubles(
    qtbot: QtBot, told: ToldSession
) -> None:
    shown: list[Notice] = []
    notifier = Notifier(told, shown.append)
    told.reset_rows([trouble()])
    qtbot.waitUntil(lambda: len(shown) == 1)
    told.reset_rows([])
    told.reset_rows([trouble(), trouble(9000)])
    qtbot.waitUntil(lambda: len(shown) == 2)
    assert shown[1].title == "TCP port 9000 of web is in use already"
    assert notifier.parent() is None


@pytest.mark.usefixtures("quick")
def test_between_two_notifications_is_some_time(qtbot: QtBot, told: ToldSession) -> None:
    now = [0.0]
    times: list[float] = []
    notifier = Notifier(told, lambda _: times.append(now[0]), clock=lambda: now[0])
    told.reset_rows([trouble(1)])
    qtbot.waitUntil(lambda: len(times) == 1)
    told.change_rows([trouble(2)])
    assert notifier._timer.interval() == 50
    now[0] = 0.045
    told.change_rows([trouble(3)])
    qtbot.waitUntil(lambda: len(times) == 2)


@pytest.mark.usefixtures("quick")
def test_the_troubles_of_a_daemon_are_told_while_the_window_is_hidden(
    qtbot: QtBot, served: ServedBackend, session: Session
) -> None:
    shown: list[Notice] = []
    notifier = Notifier(session, shown.append)
    troubled = [row for row in realistic_rows() if row.state in ("conflict", "denied")]
    qtbot.waitUntil(lambda: len(shown) == 1)
    assert shown[0].title.startswith(f"{len(troubled)} ")
    session.set_watching(False)
    served.do(lambda: served.backend.change([trouble(4321)]))
    session.refresh()
    qtbot.waitUntil(lambda: len(shown) == 2)
    assert "4321" in shown[1].title
    assert notifier.parent() is None
