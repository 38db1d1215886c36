"""What the fake source has beyond the contract."""

from __future__ import annotations

import pytest

from desktop.listeners.fake import FakeListenerSource
from link.listener import Listener


def test_a_failure_is_raised_by_scans_until_it_is_taken_away() -> None:
    source = FakeListenerSource()
    source.failure = OSError("busy")
    with pytest.raises(OSError, match="busy"):
        source.scan(frozenset())
    source.failure = None
    assert source.scan(frozenset()) == []
    source.close()


def test_more_removals_than_the_pipe_holds_still_wake() -> None:
    source = FakeListenerSource()
    for number in range(70_000):
        source.add(Listener(number, "tcp", "127.0.0.1", 80))
        source.remove(number)
    assert source.drain()
    source.close()
