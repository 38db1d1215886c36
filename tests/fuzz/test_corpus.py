"""What the fuzzer has found to reach something is tried again each time, without the fuzzer."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import TARGETS, file_of, load, smallest
from tests.fuzz.parser import check, check_bounds

MOST_BYTES = 128 * 1024
"""Of one file of the corpus: it is kept with the source."""

every_target = pytest.mark.parametrize("target", TARGETS)


@every_target
def test_what_was_found_is_still_understood_or_refused_within_bounds(target: str) -> None:
    for data in load(target):
        check_bounds(TARGETS[target], data)


@every_target
def test_the_corpus_has_what_is_understood_and_what_is_refused(target: str) -> None:
    assert {check(TARGETS[target], data) for data in load(target)} == {True, False}


@every_target
def test_the_corpus_is_small_and_its_inputs_differ(target: str) -> None:
    assert file_of(target).stat().st_size <= MOST_BYTES
    assert len(set(load(target))) == len(load(target))


def test_an_input_that_reaches_nothing_new_is_not_kept() -> None:
    parser = TARGETS["relay"]
    good = parser.seeds[0]
    assert smallest(parser, [good, good.replace(b"abc", b"abd")]) == [good]
