"""Bytes at which the relay of Linux does something else: tests of every relay try around them.

Rules: elsewhere than on Linux its modules cannot be imported, and the same sizes stand here.
Counterpart: `relay_stage.py`.
"""

from __future__ import annotations

from typing import Final

from tests.capabilities import LINUX_KERNEL

__all__ = ["COPY_SIZE", "PIPE_SIZE", "RAW_AFTER", "TURN_BYTES"]

COPY_SIZE: Final = 1 << 16
RAW_AFTER: Final = 1 << 19
TURN_BYTES: Final = 1 << 19
PIPE_SIZE: Final = 1 << 20

if LINUX_KERNEL.is_there:
    from link.relay import framed, halves, kernel

    assert (halves.COPY_SIZE, halves.TURN_BYTES) == (COPY_SIZE, TURN_BYTES)
    assert (framed.RAW_AFTER, kernel.PIPE_SIZE) == (RAW_AFTER, PIPE_SIZE)
