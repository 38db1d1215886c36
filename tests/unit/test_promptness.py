"""One try in time is enough, and there are not many."""

from __future__ import annotations

import pytest

from tests.promptness import TRIES, promptly


def test_the_first_try_in_time_is_the_last() -> None:
    takes = [3.0, 2.0, 0.9, 0.1]
    promptly(lambda: takes.pop(0), 1.0)
    assert takes == [0.1]


def test_what_is_slow_each_time_is_told_with_its_times() -> None:
    takes = [1.0 + each for each in range(TRIES + 1)]
    with pytest.raises(pytest.fail.Exception, match=rf"in 1\.0 s: \[1\.0, .*, {TRIES}\.0\]"):
        promptly(lambda: takes.pop(0), 1.0)
    assert len(takes) == 1
