"""Rates of bytes, with a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.ports.rates import NO_RATE, SAMPLES, History, Rate, Rates


def test_the_first_counts_have_no_rate_for_nobody_knows_since_when() -> None:
    assert Rates[str]().observe("web", 10**9, 10**9, 5.0) == NO_RATE


def test_a_rate_is_the_mean_since_the_look_before() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    rates.observe("web", 100, 50, 1.0)
    assert rates.observe("web", 1100, 50, 3.0) == Rate(500.0, 0.0)


def test_what_comes_after_a_pause_is_that_of_one_second() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    assert rates.observe("web", 700, 0, 500.0) == Rate(700.0, 0.0)


def test_counts_that_come_too_soon_count_with_the_next() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    first = rates.observe("web", 100, 0, 1.0)
    assert rates.observe("web", 5000, 0, 1.1) == first
    assert rates.observe("web", 5100, 0, 2.0) == Rate(5000.0, 0.0)


def test_silence_is_zero_and_is_told_once() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    rates.observe("web", 100, 0, 1.0)
    assert rates.settle(2.0) == {}
    assert rates.settle(3.0) == {"web": NO_RATE}
    assert rates.settle(4.0) == {}


def test_what_came_too_soon_is_not_lost_when_silence_follows() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    rates.observe("web", 100, 0, 1.0)
    rates.observe("web", 900, 0, 1.2)
    assert rates.settle(3.0) == {"web": Rate(400.0, 0.0)}
    assert rates.settle(4.5) == {"web": NO_RATE}


def test_a_mirror_that_counts_from_zero_again_has_no_negative_rate() -> None:
    rates = Rates[str]()
    rates.observe("web", 9000, 9000, 0.0)
    assert rates.observe("web", 10, 0, 1.0) == NO_RATE


def test_a_forgotten_counter_begins_anew() -> None:
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    rates.observe("web", 100, 0, 1.0)
    rates.forget("web")
    assert rates.rate("web") == NO_RATE
    assert rates.observe("web", 10**6, 0, 2.0) == NO_RATE
    assert rates.settle(9.0) == {}


@given(st.lists(st.tuples(st.floats(0.05, 1.4), st.integers(0, 10**6)), min_size=2, max_size=40))
def test_rates_add_up_to_what_went_through(steps: list[tuple[float, int]]) -> None:
    """Told in one go, of whatever pace, the area below the rate is the number of bytes."""
    rates = Rates[str]()
    rates.observe("web", 0, 0, 0.0)
    now, count, area, at = 1.0, 1, 1.0, 1.0
    rates.observe("web", count, 0, now)  # one byte in one second: from here on it is moving
    for pause, size in steps:
        now += pause
        count += size
        before = rates.rate("web")
        rate = rates.observe("web", count, 0, now)
        if now - at >= 0.5 and (size or rate != before):
            area += rate.into * (now - at)
            at = now
    for now in (at + 2.0, at + 4.0):
        for rate in rates.settle(now).values():
            area += rate.into * (now - at)
            at = now
    assert area == pytest.approx(count)


def test_a_history_is_bounded_and_knows_its_highest() -> None:
    history = History()
    for second in range(SAMPLES + 5):
        history.add(Rate(float(second), 1000.0 if second == 3 else 0.0))
    assert len(history.samples) == SAMPLES
    assert history.samples[0] == Rate(5.0, 0.0)
    assert history.highest == SAMPLES + 4
    history.clear()
    assert history.highest == 0.0
