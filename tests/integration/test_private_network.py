"""A test that has a network to itself can be ended while it waits, and is back in its own then."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.integration.samehost import PATIENCE
from tests.private_network import private_network

SOON = 0.1


class TooLongError(Exception):
    """What the handler of a signal raises, as pytest's limit of time does."""


@pytest.fixture
def limit() -> Iterator[threading.Timer]:
    """Ends what waits in the main thread, soon after it was started."""

    def end(*_: object) -> NoReturn:
        raise TooLongError

    before = signal.signal(signal.SIGUSR2, end)
    timer = threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGUSR2))
    yield timer
    timer.cancel()
    signal.signal(signal.SIGUSR2, before)


def network() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_body_that_waits_is_ended_by_a_limit_of_time_and_leaves_the_network(
    limit: threading.Timer,
) -> None:
    told: list[int] = []

    @private_network
    def waits() -> None:
        limit.start()
        try:
            threading.Event().wait(PATIENCE)
        except TooLongError:
            told.append(network())
            raise

    before = network()
    with pytest.raises(TooLongError):
        waits()
    assert network() == before
    (within,) = told
    assert within != before
