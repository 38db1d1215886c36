"""Pipes on Linux and macOS. Counterpart: `pipes.py`."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["make", "make_writing"]


def make() -> tuple[Any, int]:
    """See `pipes.Pipes.make`."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), writing


def make_writing() -> tuple[Any, int]:
    """See `pipes.Pipes.make_writing`."""
    reading, writing = os.pipe()
    return os.fdopen(writing, "wb", buffering=0), reading
