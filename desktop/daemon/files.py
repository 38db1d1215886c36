"""How many files the daemon may open: raised at its start as far as the system lets it.

A mirror takes one descriptor, a TCP flow two, a UDP flow one. Mirrors, their connections and the
streams ahead leave some to the rest of the daemon, or nobody could ask it what is wrong. Limits:
POSIX (setrlimit(2)).
"""

from __future__ import annotations

import os
import resource
from typing import Final

__all__ = ["ENOUGH_FILES", "RESERVED_FILES", "are_files_short", "is_reserved", "raise_file_limit"]

WANTED_FILES: Final = 1 << 20
"""The kernel's own ceiling by default (fs.nr_open, proc(5))."""
ENOUGH_FILES: Final = 1 << 14
"""With fewer, a container that opens some thousand ports, or as many flows, is too much."""

RESERVED_FILES: Final = 64
"""The last descriptors: for the control API, the control session, and looks at processes."""


def is_reserved(descriptor: int) -> bool:
    """True for a descriptor that mirrors and flows should give back at once.

    A new one has the lowest number that is free (open(2)), so its number tells how many there
    are, but for gaps, which are used up first.
    """
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft != resource.RLIM_INFINITY and descriptor + RESERVED_FILES >= soft


def are_files_short() -> bool:
    """True if the next descriptor is a reserved one, or there is none."""
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(lowest)
    return is_reserved(lowest)


def raise_file_limit(enough: int = ENOUGH_FILES) -> str:
    """Allow as many files as can be had. What is to be said of it; "" for at least `enough`."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(WANTED_FILES, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            break
        except (PermissionError, ValueError):
            continue  # only root may go beyond the hard limit, and not beyond fs.nr_open
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= enough:
        return ""
    return (
        f"only {soft} files may be open at once, enough for about {soft // 2} connections: raise "
        f"the hard limit to {enough} (`ulimit -Hn`, /etc/security/limits.conf) and start again"
    )
