"""How soon something comes, judged by the best of a few tries.

On a busy computer any one try may take long, and that says nothing of what is tried; what is slow
by itself is so each time. Whatever has to come at all is waited for as long as that takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

__all__ = ["TRIES", "promptly"]

TRIES: Final = 5


def promptly(attempt: Callable[[], float], limit: float) -> None:
    """Make attempts, which say how many seconds they took, until one took less than `limit`.

    Fails after TRIES of them.
    """
    took: list[float] = []
    while len(took) < TRIES:
        took.append(attempt())
        if took[-1] < limit:
            return
    pytest.fail(f"none of {TRIES} tries was over in {limit} s: {took}")
