"""What `tests/system_calls.py` counts, and what it leaves to the scheduler."""

from __future__ import annotations

import os
import threading

from tests.capabilities import LINUX_KERNEL, needs
from tests.system_calls import counted

TIMES = 50
READING = 1
"""To read the count is a call, too."""
SPARE = 5
"""Memory that the interpreter takes meanwhile."""


@needs(LINUX_KERNEL)
def test_each_call_of_this_thread_counts_and_none_of_another() -> None:
    may_begin, has_ended = threading.Event(), threading.Event()

    def others() -> None:
        may_begin.wait()
        for _ in range(TIMES):
            os.getppid()
        has_ended.set()

    other = threading.Thread(target=others)
    other.start()
    with counted() as count:
        may_begin.set()
        has_ended.wait()
        for _ in range(TIMES):
            os.getppid()
        calls = count.calls
    other.join()
    assert TIMES <= calls - READING <= TIMES + SPARE


@needs(LINUX_KERNEL)
def test_waiting_for_a_lock_does_not_count() -> None:
    lock = threading.Lock()
    with lock, counted() as count:
        for _ in range(TIMES):
            lock.acquire(timeout=0.0001)
        assert count.calls <= READING + SPARE
