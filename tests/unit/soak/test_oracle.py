"""What the oracle of a soak lets pass, and what it finds."""

from __future__ import annotations

import pytest

from tests.soak.oracle import KINDS, Oracle, Told


@pytest.fixture
def oracle() -> Oracle:
    """One that has seen each kind of client succeed, and a fault from 10 to 20."""
    oracle = Oracle([Told(kind, 0, 1, "whole", 5) for kind in sorted(KINDS)])
    oracle.faults.append((10.0, 20.0, "agent killed"))
    return oracle


def test_nothing_is_found_where_all_was_well(oracle: Oracle) -> None:
    assert oracle.judge() == []


@pytest.mark.parametrize(("begin", "end"), [(9, 11), (19, 21), (9, 21), (12, 13)])
def test_who_is_cut_off_in_a_fault_is_excused(oracle: Oracle, begin: float, end: float) -> None:
    oracle.tell(Told("tcp here", begin, end, "ConnectionResetError"))
    assert oracle.judge() == []
    assert "tcp here: ConnectionResetError while agent killed: 1" in oracle.summary()


@pytest.mark.parametrize(
    ("begin", "end", "when"),
    [
        (8, 9, "without a fault"),
        (21, 22, "without a fault, begun 1.0 s after agent killed"),
    ],
)
def test_who_is_cut_off_without_a_fault_is_found(
    oracle: Oracle, begin: float, end: float, when: str
) -> None:
    oracle.tell(Told("udp there", begin, end, "no answer"))
    assert oracle.judge() == [f"udp there: no answer after 1.00 s {when}"]


def test_wrong_bytes_are_never_excused(oracle: Oracle) -> None:
    oracle.tell(Told("tcp there", 12, 13, "wrong", 7))
    assert oracle.judge() == ["tcp there: wrong bytes of 7 at 13.0"]


def test_a_soak_in_which_a_kind_of_client_never_succeeded_is_none() -> None:
    assert len(Oracle().judge()) == len(KINDS)


@pytest.mark.parametrize("outcome", ["cut short", "ended at once"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_cut_that_looks_like_an_end_is_found(oracle: Oracle, kind: str, outcome: str) -> None:
    oracle.tell(Told(kind, 12, 13, outcome))
    assert oracle.judge() == [f"{kind}: {outcome} after 1.00 s while agent killed"]


def test_a_killed_server_ends_as_its_kernel_says(oracle: Oracle) -> None:
    oracle.faults.append((10.0, 20.0, "container restarted"))
    oracle.tell(Told("tcp here", 12, 13, "cut short"))
    assert oracle.judge() == []
    oracle.tell(Told("tcp there", 12, 13, "cut short"))
    assert len(oracle.judge()) == 1


def test_what_nobody_may_notice_excuses_nothing(oracle: Oracle) -> None:
    oracle.faults.append((30.0, 40.0, "disk full"))
    oracle.tell(Told("tcp here", 32, 33, "ConnectionResetError"))
    assert oracle.judge() == ["tcp here: ConnectionResetError after 1.00 s while disk full"]


def test_what_is_open_and_should_not_be_is_found(oracle: Oracle) -> None:
    oracle.quiet(["daemon: ('tcp', '0.0.0.0', 8000) is open"])
    assert oracle.judge() == ["after agent killed: daemon: ('tcp', '0.0.0.0', 8000) is open"]
