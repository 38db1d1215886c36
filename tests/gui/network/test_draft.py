"""What is wanted beside what is in force. No Qt."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from desktop.api.types import SettingInfo
from gui.network.draft import ISOLATION, SWITCH, Draft

IDLE: Final = "udpIdleSeconds"
FLOWS: Final = "maxUdpFlows"


def infos(**values: object) -> dict[str, SettingInfo]:
    return told("", values)


def told(locked: str, values: dict[str, object]) -> dict[str, SettingInfo]:
    lock = "administrator" if locked else ""
    return {key: SettingInfo(key, value, 0, locked, lock) for key, value in values.items()}


def draft_of(**values: object) -> Draft:
    draft = Draft(tuple(values))
    draft.learn(infos(**values))
    return draft


def test_a_setting_that_nobody_touched_follows_the_daemon() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.learn(infos(udpIdleSeconds=60))
    assert draft.state(IDLE).value == 60
    assert draft.unsaved == ()


def test_a_touched_one_stays_and_says_what_was_set_elsewhere() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.want(IDLE, 30)
    assert not draft.state(IDLE).elsewhere
    draft.learn(infos(udpIdleSeconds=60))
    state = draft.state(IDLE)
    assert (state.value, state.in_force) == (30, 60)
    assert state.is_unsaved
    assert state.elsewhere
    draft.cancel()
    assert draft.state(IDLE).value == 60
    assert not draft.state(IDLE).elsewhere


def test_a_change_elsewhere_that_is_taken_back_is_no_news() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.want(IDLE, 30)
    draft.learn(infos(udpIdleSeconds=60))
    draft.learn(infos(udpIdleSeconds=90))
    assert not draft.state(IDLE).elsewhere


def test_what_is_wanted_and_in_force_is_not_unsaved() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.want(IDLE, 30)
    draft.want(IDLE, 90)
    assert draft.unsaved == ()
    draft.want(IDLE, 30)
    draft.learn(infos(udpIdleSeconds=30))
    assert draft.unsaved == ()


def test_what_was_typed_while_an_earlier_value_was_applied_stays_wanted() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.want(IDLE, 30)
    draft.want(IDLE, 31)
    draft.applied(IDLE, 30)
    state = draft.state(IDLE)
    assert (state.value, state.in_force, state.elsewhere) == (31, 30, False)


def test_a_setting_that_gets_locked_loses_its_draft() -> None:
    draft = draft_of(udpIdleSeconds=90, maxUdpFlows=1)
    draft.want(IDLE, 30)
    draft.mark_wrong(IDLE, 30, "no good")
    draft.want(FLOWS, 2)
    draft.learn(told("by them", {IDLE: 90}))
    state = draft.state(IDLE)
    assert (state.value, state.locked, state.lock) == (90, "by them", "administrator")
    assert draft.unsaved == (FLOWS,)
    assert not draft.state(IDLE).error


def test_an_error_is_of_one_value_and_goes_when_another_is_found_good() -> None:
    draft = draft_of(udpIdleSeconds=90)
    draft.want(IDLE, 0)
    draft.mark_wrong(IDLE, 0, "too few")
    assert draft.state(IDLE).error == "too few"
    draft.want(IDLE, 5)
    draft.mark_wrong(IDLE, 0, "too few, still")
    assert draft.state(IDLE).error == "too few"
    draft.mark_wrong(IDLE, 5, "")
    assert not draft.state(IDLE).error


def test_an_error_goes_with_the_wish() -> None:
    draft = draft_of(udpIdleSeconds=90)
    for ending in (draft.cancel, lambda: draft.want(IDLE, 90)):
        draft.want(IDLE, 0)
        draft.mark_wrong(IDLE, 0, "too few")
        ending()
        assert not draft.error(IDLE)


def test_isolation_is_applied_first_and_the_switch_so_that_nothing_opens_in_between() -> None:
    draft = draft_of(hostNetworkingEnabled=False, udpIdleSeconds=90, enhancedContainerIsolation=1)
    for key, value in ((SWITCH, True), (IDLE, 30), (ISOLATION, 0)):
        draft.want(key, value)
    assert [key for key, _ in draft.changes()] == [ISOLATION, IDLE, SWITCH]
    draft = draft_of(hostNetworkingEnabled=True, udpIdleSeconds=90)
    draft.want(IDLE, 30)
    draft.want(SWITCH, False)
    assert draft.changes() == [(SWITCH, False), (IDLE, 30)]


def test_what_the_daemon_does_not_tell_is_not_known() -> None:
    draft = Draft((IDLE, FLOWS))
    draft.learn(infos(udpIdleSeconds=90, other=1))
    assert draft.is_known(IDLE)
    assert not draft.is_known(FLOWS)


VALUES = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("want"), VALUES),
        st.tuples(st.just("learn"), VALUES),
        st.tuples(st.just("apply"), st.just(0)),
        st.tuples(st.just("cancel"), st.just(0)),
    )
)


@given(STEPS)
def test_whatever_happens_it_shows_the_wish_or_what_is_in_force(
    steps: list[tuple[str, int]],
) -> None:
    draft = draft_of(udpIdleSeconds=0)
    wish, in_force = None, 0
    for step, value in steps:
        if step == "want":
            draft.want(IDLE, value)
            wish = value
        elif step == "learn":
            draft.learn(infos(udpIdleSeconds=value))
            in_force = value
        elif step == "cancel":
            draft.cancel()
            wish = None
        elif wish is not None:
            draft.applied(IDLE, wish)
            in_force = wish
        if wish == in_force:
            wish = None
        state = draft.state(IDLE)
        assert state.value == (in_force if wish is None else wish)
        assert state.in_force == in_force
        assert state.is_unsaved == (wish is not None) == bool(draft.changes())
