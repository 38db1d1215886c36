"""Telling other load on the computer from the bench's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bench import others
from tests.bench.others import Process, Quiet, parse, processes, seconds_of_others, tree


def process(parent: int, seconds: float) -> Process:
    return Process("x", parent, seconds)


def test_a_name_may_have_spaces_and_parentheses() -> None:
    line = "12 (a) b (c)) S 7 " + " ".join(str(number) for number in range(5, 30))
    ticks = 14 + 15 + 16 + 17
    assert parse(line) == Process("a) b (c)", 7, ticks / os.sysconf("SC_CLK_TCK"))


def test_this_process_is_found_under_its_parent() -> None:
    known = processes()
    assert known[os.getpid()].parent == os.getppid()
    assert os.getpid() in tree([os.getppid()], known)


def test_a_tree_is_roots_and_all_that_come_of_them() -> None:
    known = {1: process(0, 0), 5: process(1, 0), 6: process(5, 0), 7: process(1, 0)}
    assert tree([5], known) == {5, 6}
    assert tree([], known) == set()


def test_of_others_is_what_neither_ours_nor_the_kernels_threads_had() -> None:
    before = {2: process(0, 9), 3: process(2, 9), 5: process(1, 1), 8: process(1, 1)}
    after = {2: process(0, 90), 3: process(2, 90), 5: process(1, 7), 8: process(1, 1.5)}
    assert seconds_of_others(before, after, {5}) == 0.5


def test_who_ended_meanwhile_is_counted_once_by_its_parent() -> None:
    before = {8: process(1, 1), 9: process(8, 2)}
    after = {8: process(1, 1 + 2 + 0.25)}
    assert seconds_of_others(before, after, set()) == 0.25


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shares of a core that others have of the next measurements."""
    waiting: list[float] = []

    def watched(_self: Quiet, once: object) -> tuple[object, float]:
        assert callable(once)
        return once(), waiting.pop(0)

    monkeypatch.setattr(Quiet, "_watched", watched)
    return waiting


def counting() -> Iterator[int]:
    yield from range(1, 1000)


def test_what_others_disturbed_is_measured_again(shares: list[float]) -> None:
    quiet, numbers = Quiet(set), counting()
    shares += [0.5, 0.05]
    assert quiet.measure(lambda: next(numbers)) == 2
    assert (quiet.measured, quiet.thrown, quiet.kept) == (1, 1, 0)


def test_if_none_was_quiet_the_quietest_counts(shares: list[float]) -> None:
    quiet, numbers = Quiet(set), counting()
    shares += [0.9, 0.3, 0.6]
    assert quiet.measure(lambda: next(numbers)) == 2
    assert (quiet.measured, quiet.thrown, quiet.kept) == (1, 2, 1)


def test_a_computer_that_is_never_quiet_delays_the_bench_by_a_third(shares: list[float]) -> None:
    quiet, rounds = Quiet(set), 200
    shares += [0.9] * rounds * others.TRIES
    for _ in range(rounds):
        quiet.measure(float)
    assert quiet.kept == rounds
    assert quiet.thrown <= others.FIRST_RETRIES + others.RETRIED * rounds + others.TRIES


def test_what_is_measured_is_told_while_others_are_watched() -> None:
    quiet = Quiet(set)
    assert quiet.measure(lambda: "measured") == "measured"
    assert quiet.measured == 1
