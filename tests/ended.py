"""Programs of tests that have ended when the test has, however that went."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import AnyStr

__all__ = ["ended"]


@contextlib.contextmanager
def ended(program: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """The program, and its end: killed if it is still there, while Popen's own context waits for
    one that a test that fails has told nothing, and so for ever.
    """
    with program:
        try:
            yield program
        finally:
            program.kill()  # not one that was waited for: its number may be another's
