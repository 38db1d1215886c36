"""The pace of scanning."""

from __future__ import annotations

import itertools

import pytest

from link.polling import (
    FAST,
    FAST_PERIOD,
    KICK_GAP,
    LONGEST_PAUSE,
    LONGEST_REST,
    SAVINGS,
    SETTLE,
    SHARE,
    SLOW,
    SOON,
    AdaptiveInterval,
)

START = 1000.0


def scan_when_due(
    pace: AdaptiveInterval, now: float, until: float, cost: float = 0.0
) -> list[float]:
    """The times at which a scanner that obeys `pace` and finds nothing begins to scan."""
    times = []
    while (due := max(now, pace.next_due(now))) < until:
        times.append(due)
        now = due + cost
        pace.scanned(now, cost=cost, changed=False)
    return times


def test_the_first_scan_is_due_at_once() -> None:
    assert AdaptiveInterval(START).next_due(START) <= START


def test_scans_are_fast_for_a_minute_after_the_last_change() -> None:
    pace = AdaptiveInterval(START)
    times = scan_when_due(pace, START, START + FAST_PERIOD - FAST)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([FAST] * len(gaps))


def test_without_change_the_interval_grows_by_half_up_to_slow() -> None:
    pace = AdaptiveInterval(START)
    times = scan_when_due(pace, START, START + FAST_PERIOD + 20)
    late = [time for time in times if time >= START + FAST_PERIOD - 0.01]
    gaps = [later - earlier for earlier, later in itertools.pairwise(late)]
    assert gaps[1] == pytest.approx(gaps[0] * 1.5)
    assert max(gaps) == pytest.approx(SLOW)
    assert gaps[-1] == pytest.approx(SLOW)


def test_a_change_makes_it_fast_again() -> None:
    pace = AdaptiveInterval(START)
    now = scan_when_due(pace, START, START + FAST_PERIOD + 20)[-1]
    pace.scanned(now, cost=0.0, changed=True)
    assert pace.next_due(now) == pytest.approx(now + SOON)


def test_what_changed_is_looked_at_again_soon_and_then_ever_later_up_to_fast() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START, cost=0.0, changed=True)
    times = scan_when_due(pace, START, START + 1)
    gaps = [later - earlier for earlier, later in itertools.pairwise([START, *times])]
    expected = [SOON, 2 * SOON, 4 * SOON, 8 * SOON, 16 * SOON, FAST, FAST]
    assert gaps[:7] == pytest.approx(expected)


def test_the_news_of_an_end_may_wait_but_no_other_kick_waits_for_it() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START, cost=0.0, changed=False)
    pace.kick(START + 0.05, SETTLE)
    assert pace.next_due(START + 0.05) == pytest.approx(START + 0.05 + SETTLE)
    pace.kick(START + 0.0501, SETTLE)
    assert pace.next_due(START + 0.0501) == pytest.approx(START + 0.05 + SETTLE)
    pace.kick(START + 0.0502)
    assert pace.next_due(START + 0.0502) == pytest.approx(START + 0.0502)


def test_a_lower_ceiling_holds_at_once_and_when_it_grows() -> None:
    pace = AdaptiveInterval(START)
    scan_when_due(pace, START, START + FAST_PERIOD + 20)
    pace.ceiling = 0.2
    assert pace.interval == pytest.approx(0.2)
    now = START + FAST_PERIOD + 21
    gaps = scan_when_due(pace, now, now + 2)
    assert gaps[-1] - gaps[-2] == pytest.approx(0.2)


@pytest.mark.parametrize(("asked", "given"), [(0.0, FAST), (99.0, SLOW), (0.5, 0.5)])
def test_the_ceiling_stays_between_fast_and_slow(asked: float, given: float) -> None:
    pace = AdaptiveInterval(START)
    pace.ceiling = asked
    assert pace.ceiling == given


def test_a_kick_makes_a_scan_due_at_once() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START, cost=0.0, changed=False)
    pace.kick(START + 0.05)
    assert pace.next_due(START + 0.05) <= START + 0.05


def test_kicks_do_not_scan_more_often_than_their_gap() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START, cost=0.0, changed=True)
    pace.kick(START + 0.001)
    pace.kick(START + 0.002)
    assert pace.next_due(START + 0.002) == pytest.approx(START + KICK_GAP)


def test_a_kick_waits_for_its_scan() -> None:
    pace = AdaptiveInterval(START)
    waits = [pace.is_kicked]
    pace.kick(START)
    waits.append(pace.is_kicked)
    pace.scanned(START, cost=0.0, changed=False)
    assert [*waits, pace.is_kicked] == [False, True, False]


def test_a_kick_is_done_with_after_the_scan() -> None:
    pace = AdaptiveInterval(START)
    pace.kick(START)
    pace.scanned(START, cost=0.0, changed=False)
    assert pace.next_due(START) == pytest.approx(START + SOON)


def test_a_kick_makes_it_fast_again() -> None:
    pace = AdaptiveInterval(START)
    now = scan_when_due(pace, START, START + FAST_PERIOD + 20)[-1]
    pace.kick(now)
    pace.scanned(now, cost=0.0, changed=False)
    assert pace.next_due(now) == pytest.approx(now + SOON)


def test_a_kick_never_delays_a_scan() -> None:
    pace = AdaptiveInterval(START, fast=0.001)
    pace.scanned(START, cost=0.0, changed=False)
    pace.kick(START)
    assert pace.next_due(START) == pytest.approx(START + 0.001)


def test_dear_scans_take_their_share_of_a_core_and_no_more() -> None:
    pace = AdaptiveInterval(START)
    pace.ceiling = FAST
    seconds = 50.0
    cost = 0.02
    times = scan_when_due(pace, START, START + seconds, cost)
    assert len(times) * cost <= SHARE * seconds + SAVINGS + cost
    assert times[-1] - times[-2] == pytest.approx(cost / SHARE, rel=0.1)


def test_kicks_do_not_overdraw_the_account() -> None:
    pace = AdaptiveInterval(START)
    now, spent = START, 0.0
    while now < START + 10:
        pace.kick(now)
        now = max(now, pace.next_due(now)) + 0.01
        pace.scanned(now, cost=0.01, changed=True)
        spent += 0.01
    assert spent <= SHARE * 10 + SAVINGS + 0.02


def test_one_dear_scan_after_a_quiet_time_delays_nothing() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START + 30, cost=SAVINGS, changed=True)
    pace.kick(START + 30.01)
    assert pace.next_due(START + 30.01) <= START + 30.01


def test_a_very_dear_scan_blinds_for_a_second_at_most() -> None:
    pace = AdaptiveInterval(START)
    pace.scanned(START + 30, cost=20.0, changed=True)
    pace.kick(START + 30)
    assert pace.next_due(START + 30) == pytest.approx(START + 30 + LONGEST_PAUSE)


def test_a_clock_that_stands_still_pays_nothing_in() -> None:
    pace = AdaptiveInterval(START)
    for _ in range(100):
        pace.scanned(START, cost=SAVINGS, changed=False)
    assert pace.next_due(START) == pytest.approx(START + LONGEST_PAUSE)


def test_where_kicks_tell_all_one_more_look_makes_sure_and_then_it_rests() -> None:
    pace = AdaptiveInterval(START)
    pace.rely_on_kicks(rely=True)
    pace.ceiling = 0.5
    pace.kick(START)
    pace.scanned(START, cost=0.0, changed=True)
    times = scan_when_due(pace, START, START + 1.2)
    assert times == pytest.approx([START + SOON, START + SOON + 0.5, START + SOON + 1.0])
    pace.rely_on_kicks(rely=False)
    pace.kick(START + 2)
    pace.scanned(START + 2, cost=0.0, changed=False)
    assert pace.next_due(START + 2) == pytest.approx(START + 2 + SOON)


def test_where_kicks_tell_all_a_dear_look_that_nothing_calls_for_is_rare() -> None:
    interval = AdaptiveInterval(0.0)
    interval.rely_on_kicks(rely=True)
    interval.ceiling = 0.5
    for cost, pause in ((0.0001, 0.5), (0.002, 1.0), (0.02, LONGEST_REST)):
        interval.scanned(10.0, cost=cost, changed=False)
        assert interval.next_due(10.0) == pytest.approx(10.0 + pause)
    interval.kick(11.0)
    assert interval.next_due(11.0) == pytest.approx(11.0)
    interval.scanned(11.0, cost=0.02, changed=True)
    assert interval.next_due(11.0) == pytest.approx(11.0 + SOON)
