"""The reconciler, by transcripts: what it is told, and what it says to do and to show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desktop.mirror.ledger import NOTICE_QUIET_SECONDS
from desktop.mirror.model import Binding, Failure, Row, State, Target, Wish
from desktop.mirror.reconcile import (
    CONFLICT_RETRY_SECONDS,
    DENIED_RETRY_SECONDS,
    GRACE_SECONDS,
    Close,
    Open,
    Reconciler,
)
from tests.unit.mirror.make import BUSY, REFUSED, VM, host_binding, machine_binding, wish_of

ON_HOST = machine_binding("0.0.0.0", 8000)
"""A mirror that stands on this computer."""
IN_MACHINE = host_binding("127.0.0.1", 80)
"""A mirror that stands in the machine."""


LATE = host_binding("::1", 8000)
"""A mirror of the same port, of which is heard later."""


def with_open(*bindings: Binding, now: float = 0.0) -> Reconciler:
    """A reconciler whose wishes are these, all open and told."""
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(binding) for binding in bindings], now)
    reconciler.actions(now)
    for binding in bindings:
        reconciler.opened(binding, now)
    reconciler.take_changes()
    return reconciler


def with_failed(failure: Failure, binding: Binding = ON_HOST) -> Reconciler:
    """A reconciler whose only mirror could not be opened at time 0."""
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(binding)], 0.0)
    reconciler.actions(0.0)
    reconciler.failed(binding, failure, 0.0)
    return reconciler


def state_of(reconciler: Reconciler, binding: Binding) -> State:
    row = reconciler.row(binding)
    assert row is not None
    return row.state


def test_a_wish_is_opened_once_and_becomes_active() -> None:
    reconciler = Reconciler()
    wish = wish_of(ON_HOST)
    reconciler.wish(VM, [wish], 1.0)
    assert state_of(reconciler, ON_HOST) is State.PENDING
    assert reconciler.actions(1.0) == [Open(wish)]
    assert reconciler.actions(2.0) == []
    reconciler.opened(ON_HOST, 3.0)
    assert reconciler.row(ON_HOST) == Row(wish, State.ACTIVE, "", 3.0)
    assert reconciler.actions(3.0) == []
    assert reconciler.next_deadline() is None


def test_a_wish_that_goes_closes_its_mirror_once_and_its_row_at_once() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.wish(VM, [], 1.0)
    assert reconciler.rows() == []
    assert reconciler.actions(1.0) == [Close(ON_HOST)]
    assert reconciler.actions(2.0) == []
    reconciler.closed(ON_HOST, 2.0)
    assert reconciler.actions(3.0) == []


@pytest.mark.parametrize("state", [State.IGNORED, State.CONFLICT])
def test_what_the_rules_decide_against_is_shown_and_not_opened(state: State) -> None:
    reconciler = Reconciler()
    wish = wish_of(ON_HOST, state)
    reconciler.wish(VM, [wish], 1.0)
    assert reconciler.actions(1.0) == []
    assert reconciler.rows() == [Row(wish, state, wish.reason, 1.0)]


def test_a_mirror_that_the_rules_turn_against_closes_and_comes_back_when_they_relent() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.wish(VM, [wish_of(ON_HOST, State.CONFLICT)], 1.0)
    assert state_of(reconciler, ON_HOST) is State.CONFLICT
    assert reconciler.actions(1.0) == [Close(ON_HOST)]
    reconciler.closed(ON_HOST, 1.0)
    reconciler.wish(VM, [wish_of(ON_HOST)], 2.0)
    assert state_of(reconciler, ON_HOST) is State.PENDING
    assert reconciler.actions(2.0) == [Open(wish_of(ON_HOST))]


def test_a_mirror_is_not_opened_again_before_it_is_closed() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.wish(VM, [], 1.0)
    assert reconciler.actions(1.0) == [Close(ON_HOST)]
    reconciler.wish(VM, [wish_of(ON_HOST)], 2.0)
    assert reconciler.actions(2.0) == []
    assert state_of(reconciler, ON_HOST) is State.PENDING
    reconciler.closed(ON_HOST, 3.0)
    assert reconciler.actions(3.0) == [Open(wish_of(ON_HOST))]


def test_a_mirror_that_is_no_longer_wished_when_it_opens_is_closed() -> None:
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST)], 0.0)
    reconciler.actions(0.0)
    reconciler.wish(VM, [], 1.0)
    assert reconciler.actions(1.0) == []
    reconciler.opened(ON_HOST, 2.0)
    assert reconciler.actions(2.0) == [Close(ON_HOST)]


def test_a_failure_that_nobody_waits_for_is_forgotten() -> None:
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST)], 0.0)
    reconciler.actions(0.0)
    reconciler.wish(VM, [], 1.0)
    reconciler.failed(ON_HOST, BUSY, 2.0)
    assert reconciler.rows() == []
    assert reconciler.next_deadline() is None
    assert reconciler.actions(100.0) == []


@pytest.mark.parametrize(
    ("old", "new"), [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("::1", "::")]
)
def test_a_listener_that_moves_between_loopback_and_wildcard_meets_no_mirror_of_ours(
    old: str, new: str
) -> None:
    before, after = machine_binding(old, 8000), machine_binding(new, 8000)
    reconciler = with_open(before)
    reconciler.wish(VM, [wish_of(after)], 1.0)
    assert reconciler.actions(1.0) == [Close(before)]
    reconciler.closed(before, 1.0)
    assert reconciler.actions(1.0) == [Open(wish_of(after))]


def test_mirrors_that_do_not_meet_do_not_wait_for_each_other() -> None:
    old = machine_binding("0.0.0.0", 8000)
    others = [machine_binding("::", 8000), machine_binding("0.0.0.0", 8001)]
    reconciler = with_open(old)
    reconciler.wish(VM, [wish_of(other) for other in others], 1.0)
    assert reconciler.actions(1.0) == [Close(old), *(Open(wish_of(other)) for other in others)]


def test_another_listener_behind_an_open_mirror_changes_only_the_row() -> None:
    reconciler = with_open(ON_HOST)
    other = replace(wish_of(ON_HOST, cookie=2), target=Target("::1", 8000))
    reconciler.wish(VM, [other], 5.0)
    assert reconciler.actions(5.0) == []
    assert reconciler.wish_for(ON_HOST) == other
    row = Row(other, State.ACTIVE, "", 0.0)
    assert reconciler.take_changes() == ([], [row], [])


def test_a_flow_finds_its_target_only_while_the_mirror_is_wanted() -> None:
    reconciler = with_open(ON_HOST)
    assert reconciler.wish_for(ON_HOST) == wish_of(ON_HOST)
    assert reconciler.wish_for(IN_MACHINE) is None
    reconciler.wish(VM, [wish_of(ON_HOST, State.IGNORED)], 1.0)
    assert reconciler.wish_for(ON_HOST) is None
    reconciler.wish(VM, [], 1.0)
    assert reconciler.wish_for(ON_HOST) is None


def test_answers_to_nothing_change_nothing() -> None:
    reconciler = with_open(ON_HOST)
    strange = machine_binding("0.0.0.0", 1)
    for binding in (ON_HOST, strange):
        reconciler.opened(binding, 1.0)
        reconciler.failed(binding, BUSY, 1.0)
        reconciler.closed(binding, 1.0)
    reconciler.lost(strange, BUSY, 1.0)
    assert reconciler.take_changes() == ([], [], [])
    assert reconciler.actions(1.0) == []


# Retries.


@pytest.mark.parametrize(
    ("failure", "first", "longest"),
    [(BUSY, *CONFLICT_RETRY_SECONDS), (REFUSED, *DENIED_RETRY_SECONDS)],
)
def test_failures_are_tried_again_ever_more_slowly(
    failure: Failure, first: float, longest: float
) -> None:
    reconciler = with_failed(failure)
    now, wait = 0.0, first
    for _ in range(8):
        assert reconciler.next_deadline() == now + wait
        assert reconciler.actions(now + wait * 0.9) == []
        now += wait
        assert reconciler.actions(now) == [Open(wish_of(ON_HOST))]
        assert reconciler.next_deadline() is None
        reconciler.failed(ON_HOST, failure, now)
        wait = min(wait * 2, longest)
    assert reconciler.row(ON_HOST) == Row(wish_of(ON_HOST), failure.state, failure.reason, 0.0)


@pytest.mark.parametrize(("failure", "seconds"), [(BUSY, 1.0), (REFUSED, 5.0)])
def test_who_has_healed_a_failure_that_stood_for_long_sees_it_soon(
    failure: Failure, seconds: float
) -> None:
    reconciler = with_failed(failure)
    now = wait = 0.0
    while now < 3600.0:
        due = reconciler.next_deadline()
        assert due is not None
        now, wait = due, due - now
        reconciler.actions(now)
        reconciler.failed(ON_HOST, failure, now)
    assert wait <= seconds


def test_a_retry_under_way_shows_no_other_state() -> None:
    reconciler = with_failed(BUSY)
    reconciler.take_changes()
    reconciler.actions(1.0)
    assert state_of(reconciler, ON_HOST) is State.CONFLICT
    reconciler.failed(ON_HOST, BUSY, 1.0)
    assert reconciler.take_changes() == ([], [], [])


def test_a_conflict_heals_by_itself_and_the_next_one_starts_anew() -> None:
    reconciler = with_failed(BUSY)
    first, _longest = CONFLICT_RETRY_SECONDS
    reconciler.actions(10.0)
    reconciler.failed(ON_HOST, BUSY, 10.0)
    reconciler.actions(20.0)
    reconciler.opened(ON_HOST, 20.0)
    assert reconciler.row(ON_HOST) == Row(wish_of(ON_HOST), State.ACTIVE, "", 20.0)
    reconciler.actions(20.0)
    reconciler.lost(ON_HOST, BUSY, 30.0)
    assert reconciler.next_deadline() == 30.0 + first


def test_a_mirror_lost_by_itself_is_opened_again() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.lost(ON_HOST, REFUSED, 1.0)
    assert state_of(reconciler, ON_HOST) is State.DENIED
    deadline = reconciler.next_deadline()
    assert deadline is not None
    assert reconciler.actions(deadline) == [Open(wish_of(ON_HOST))]


def test_when_listeners_changed_conflicts_are_tried_at_once_and_denials_are_not() -> None:
    denied = machine_binding("0.0.0.0", 81)
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST), wish_of(denied)], 0.0)
    reconciler.actions(0.0)
    reconciler.failed(ON_HOST, BUSY, 0.0)
    reconciler.failed(denied, REFUSED, 0.0)
    assert reconciler.actions(0.01) == []
    reconciler.retry_conflicts(0.01)
    assert reconciler.next_deadline() == 0.01
    assert reconciler.actions(0.01) == [Open(wish_of(ON_HOST))]


def test_a_conflict_of_the_rules_is_not_tried() -> None:
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST, State.CONFLICT)], 0.0)
    reconciler.actions(0.0)
    reconciler.retry_conflicts(1.0)
    assert reconciler.actions(1.0) == []
    assert reconciler.next_deadline() is None


def test_a_retry_that_is_no_longer_needed_sets_no_deadline() -> None:
    reconciler = with_failed(BUSY)
    reconciler.retry_conflicts(0.01)
    reconciler.actions(0.01)
    reconciler.opened(ON_HOST, 0.01)
    assert reconciler.next_deadline() is None


def test_a_failure_is_forgotten_when_the_rules_turned_against_the_mirror_since() -> None:
    reconciler = with_failed(REFUSED)
    reconciler.wish(VM, [wish_of(ON_HOST, State.CONFLICT)], 0.1)
    reconciler.wish(VM, [wish_of(ON_HOST)], 0.2)
    assert state_of(reconciler, ON_HOST) is State.PENDING
    assert reconciler.actions(0.2) == [Open(wish_of(ON_HOST))]


# The link.


def test_a_short_break_pauses_and_leaves_this_computers_mirrors_standing() -> None:
    reconciler = with_open(ON_HOST, IN_MACHINE)
    reconciler.pause(VM, 1.0)
    assert state_of(reconciler, ON_HOST) is State.PAUSED
    assert state_of(reconciler, IN_MACHINE) is State.PAUSED
    assert reconciler.actions(1.0) == []
    assert reconciler.next_deadline() == 1.0 + GRACE_SECONDS
    reconciler.resume(VM, 2.0)
    reconciler.wish(VM, [wish_of(ON_HOST), wish_of(IN_MACHINE)], 2.0)
    assert state_of(reconciler, ON_HOST) is State.ACTIVE
    assert reconciler.actions(2.0) == [Open(wish_of(IN_MACHINE))]
    assert reconciler.actions(1.0 + GRACE_SECONDS) == []


def test_after_the_grace_mirrors_close_and_rows_stay_until_the_link_is_back() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.pause(VM, 1.0)
    assert reconciler.actions(1.0 + GRACE_SECONDS - 0.01) == []
    assert reconciler.actions(1.0 + GRACE_SECONDS) == [Close(ON_HOST)]
    reconciler.closed(ON_HOST, 7.0)
    assert state_of(reconciler, ON_HOST) is State.PAUSED
    assert reconciler.actions(8.0) == []
    assert reconciler.next_deadline() is None
    reconciler.resume(VM, 9.0)
    assert state_of(reconciler, ON_HOST) is State.PENDING
    assert reconciler.actions(9.0) == [Open(wish_of(ON_HOST))]
    reconciler.opened(ON_HOST, 9.0)
    assert reconciler.actions(9.0) == []


def test_a_second_pause_does_not_prolong_the_grace() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.pause(VM, 1.0)
    reconciler.pause(VM, 4.0)
    assert reconciler.actions(1.0 + GRACE_SECONDS) == [Close(ON_HOST)]


def test_without_a_link_nothing_new_is_opened_but_what_is_unwished_closes() -> None:
    reconciler = with_open(ON_HOST)
    reconciler.pause(VM, 1.0)
    late = machine_binding("127.0.0.1", 9000)
    reconciler.wish(VM, [wish_of(late)], 2.0)
    assert state_of(reconciler, late) is State.PAUSED
    assert reconciler.actions(2.0) == [Close(ON_HOST)]


def test_an_open_under_way_when_the_link_breaks_counts_here_and_is_void_there() -> None:
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST), wish_of(IN_MACHINE)], 0.0)
    reconciler.actions(0.0)
    reconciler.pause(VM, 1.0)
    reconciler.opened(ON_HOST, 1.0)
    reconciler.opened(IN_MACHINE, 1.0)
    reconciler.resume(VM, 2.0)
    assert state_of(reconciler, ON_HOST) is State.ACTIVE
    assert reconciler.actions(2.0) == [Open(wish_of(IN_MACHINE))]


def test_a_close_under_way_in_the_machine_is_done_when_the_link_breaks() -> None:
    reconciler = with_open(IN_MACHINE)
    reconciler.wish(VM, [], 1.0)
    assert reconciler.actions(1.0) == [Close(IN_MACHINE)]
    reconciler.pause(VM, 2.0)
    reconciler.resume(VM, 3.0)
    reconciler.wish(VM, [wish_of(IN_MACHINE)], 3.0)
    assert reconciler.actions(3.0) == [Open(wish_of(IN_MACHINE))]


@pytest.mark.parametrize("failure", [BUSY, REFUSED])
@pytest.mark.parametrize("back", [0.2, 1.5, 60.0])
def test_a_failure_waits_for_the_link_and_is_tried_at_once_when_it_is_back(
    failure: Failure, back: float
) -> None:
    reconciler = with_failed(failure)
    reconciler.pause(VM, 0.1)
    assert state_of(reconciler, ON_HOST) is failure.state
    assert reconciler.next_deadline() == 0.1 + GRACE_SECONDS
    assert reconciler.actions(back) == []
    reconciler.resume(VM, back)
    assert reconciler.actions(back) == [Open(wish_of(ON_HOST))]


def test_clearing_closes_everything_even_without_a_link() -> None:
    reconciler = with_open(ON_HOST, IN_MACHINE)
    reconciler.pause(VM, 1.0)
    reconciler.wish(VM, (), 2.0)
    assert reconciler.rows() == []
    assert reconciler.actions(2.0) == [Close(ON_HOST)]
    reconciler.closed(ON_HOST, 2.0)
    assert reconciler.actions(100.0) == []


# What is shown.


def test_rows_are_sorted_by_origin_protocol_port_and_numeric_address() -> None:
    bindings = [
        host_binding("127.0.0.1", 9000),
        machine_binding("127.0.0.9", 80),
        machine_binding("127.0.0.10", 80),
        machine_binding("::1", 80),
        machine_binding("0.0.0.0", 443),
    ]
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(binding) for binding in reversed(bindings)], 0.0)
    assert [row.wish.binding for row in reconciler.rows()] == bindings


def test_changes_are_told_once() -> None:
    stays, goes, comes = (machine_binding("0.0.0.0", port) for port in (1, 2, 3))
    reconciler = with_open(stays, goes)
    gone = reconciler.row(goes)
    reconciler.wish(VM, [wish_of(stays), wish_of(comes)], 1.0)
    assert reconciler.take_changes() == ([reconciler.row(comes)], [], [gone])
    assert reconciler.take_changes() == ([], [], [])
    reconciler.actions(1.0)
    reconciler.opened(comes, 2.0)
    assert reconciler.take_changes() == ([], [reconciler.row(comes)], [])


def test_what_came_and_went_between_two_tellings_is_not_told() -> None:
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(ON_HOST)], 0.0)
    reconciler.wish(VM, [], 0.0)
    assert reconciler.take_changes() == ([], [], [])


def test_the_same_wishes_again_change_nothing() -> None:
    reconciler = with_open(ON_HOST, IN_MACHINE)
    wishes: list[Wish] = [wish_of(ON_HOST), wish_of(IN_MACHINE), wish_of(ON_HOST)]
    reconciler.wish(VM, wishes, 5.0)
    assert reconciler.take_changes() == ([], [], [])
    assert reconciler.actions(5.0) == []


# Notices.


def test_a_conflict_is_told_once_however_often_it_is_tried() -> None:
    reconciler = with_failed(BUSY)
    assert reconciler.notices() == [reconciler.row(ON_HOST)]
    for now in (1.0, 2.0, 300.0):
        reconciler.actions(now)
        reconciler.failed(ON_HOST, BUSY, now)
        assert reconciler.notices() == []


def test_a_denial_is_no_conflict_to_tell() -> None:
    assert with_failed(REFUSED).notices() == []


@pytest.mark.parametrize("elapsed", [1.0, NOTICE_QUIET_SECONDS - 1.0])
def test_a_conflict_that_flaps_is_told_once(elapsed: float) -> None:
    assert len(notices_of_a_conflict_that_returns(elapsed)) == 1


def test_a_conflict_that_returns_after_a_quiet_time_is_told_again() -> None:
    assert len(notices_of_a_conflict_that_returns(NOTICE_QUIET_SECONDS)) == 2


def notices_of_a_conflict_that_returns(elapsed: float) -> list[Row]:
    """All notices if the conflict of time 0 heals at 100 and returns `elapsed` later."""
    reconciler = with_failed(BUSY)
    told = reconciler.notices()
    reconciler.actions(100.0)
    reconciler.opened(ON_HOST, 100.0)
    reconciler.wish(VM, [wish_of(ON_HOST)], 100.0 + elapsed)
    reconciler.lost(ON_HOST, BUSY, 100.0 + elapsed)
    return told + reconciler.notices()


def test_a_conflict_that_healed_before_it_was_told_is_not_told() -> None:
    reconciler = with_failed(BUSY)
    reconciler.actions(1.0)
    reconciler.opened(ON_HOST, 1.0)
    assert reconciler.notices() == []
    reconciler.lost(ON_HOST, BUSY, 2.0)
    assert len(reconciler.notices()) == 1


def test_all_rows_about_one_port_are_one_notice_of_the_machines_row() -> None:
    rows = [
        host_binding("127.0.0.1", 8000),
        machine_binding("::", 8000),
        machine_binding("0.0.0.0", 8000),
        machine_binding("0.0.0.0", 8001),
    ]
    reconciler = Reconciler()
    reconciler.wish(VM, [wish_of(binding, State.CONFLICT) for binding in rows], 0.0)
    told = [row.wish.binding for row in reconciler.notices()]
    reconciler.wish(VM, [wish_of(binding, State.CONFLICT) for binding in [*rows, LATE]], 1.0)
    assert reconciler.notices() == []
    assert told == [machine_binding("0.0.0.0", 8000), machine_binding("0.0.0.0", 8001)]
