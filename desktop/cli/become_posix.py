"""Another program in our place on Linux and macOS: the process becomes it (execve(2)).

Counterpart: `become.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

__all__ = ["become"]


def become(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """See `become.Become`."""
    os.execvpe(program, [program, *arguments], environment)
