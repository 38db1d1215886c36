"""How many descriptors this process may have, on Windows: sockets are handles, of which there is no
limit but memory (16 million a process), and their numbers say nothing of how many there are.

Counterpart: `files.py`.
"""

from __future__ import annotations

__all__ = ["raise_limit", "soft_limit"]


def soft_limit() -> int | None:
    """None: there is no limit."""
    return None


def raise_limit(wanted: int) -> None:
    """Does nothing: `wanted` may be had."""
