"""Signals wake the event loop, and do again afterwards what they did before."""

from __future__ import annotations

import signal

import pytest
from pytestqt.qtbot import QtBot

from gui.leaving import NUMBERS, Signals


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_asks_for_the_end_is_told_in_the_loop(qtbot: QtBot, number: int) -> None:
    signals = Signals()
    try:
        with qtbot.waitSignal(signals.came) as caught:
            signal.raise_signal(number)
        assert caught.args == [number]
    finally:
        signals.close()


def test_afterwards_signals_do_what_they_did_before(qtbot: QtBot) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    signals = Signals()
    assert [signal.getsignal(number) for number in NUMBERS] != before
    signals.close()
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert signal.set_wakeup_fd(-1) == -1
    with qtbot.assertNotEmitted(signals.came):
        signals._pythons.close()
