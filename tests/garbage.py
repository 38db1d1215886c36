"""Where garbage is collected while there are windows: in the main thread, between tests.

What Qt's Python binding holds in a cycle is destroyed by whichever thread collects it, and the
interpreter's lock is let go meanwhile. Qt's objects belong to the thread that made them, so another
thread's collection (the fake daemon's) beside the main thread's work ends in a crash or a deadlock.

Rules: nothing collects by itself from the first test that has Qt's application to the last of them
in a row. After each, the main thread collects what is young, and now and then all that was made
since; what was there before is set aside meanwhile, so that this costs little.
Limits: what is in no cycle is destroyed by the thread that lets go of it last.
Counterparts: `conftest.py`; `tests/unit/test_house.py` (the window has no threads of Python).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Garbage"]

YOUNG: Final = 1
"""The generation up to which is collected after each test."""
TESTS_PER_COLLECTION: Final = 50
"""After so many, everything that was made since is collected."""


class Garbage:
    """See the module."""

    def __init__(self) -> None:
        self._tests = 0

    @contextmanager
    def of_test(self, *, is_last: bool) -> Iterator[None]:
        """Around a test that has Qt's application; the last: none follows directly."""
        if gc.isenabled():
            gc.disable()
            gc.collect()
            gc.freeze()
        try:
            yield
        finally:
            self._collect(is_last=is_last)

    def _collect(self, *, is_last: bool) -> None:
        self._tests += 1
        if is_last:
            gc.unfreeze()
            gc.collect()
            gc.enable()
        elif self._tests % TESTS_PER_COLLECTION == 0:
            gc.collect()
        else:
            gc.collect(YOUNG)
