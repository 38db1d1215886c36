"""How many descriptors this process may have, on Linux and macOS: setrlimit(2).

Counterpart: `files.py`.
"""

from __future__ import annotations

import resource

__all__ = ["raise_limit", "soft_limit"]


def soft_limit() -> int | None:
    """Descriptors that it may have now; None if there is no limit."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_limit(wanted: int) -> None:
    """Allow so many, or as many as can be had: only root goes beyond the hard limit.

    macOS says "unlimited" as the hard limit and takes less (its kern.maxfilesperproc), so what it
    takes is found by halves.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    halves = (wanted >> bits for bits in range(wanted.bit_length()))
    for limit in (max(wanted, hard), hard, *(each for each in halves if 0 <= soft < each)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
        except (PermissionError, ValueError):
            continue  # nor beyond fs.nr_open
        return
