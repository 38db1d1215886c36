"""Running commands for the demonstration: shown as typed, and never cut off by Ctrl-C.

Rules: Ctrl-C reaches the command as well; we wait until it has put its things in order.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["LINK", "SAMEHOST", "StepFailedError", "is_our_link", "samehost", "say"]

SAMEHOST: Final = Path(sys.executable).with_name("samehost")
LINK: Final = Path("/usr/local/bin/samehost")


class StepFailedError(Exception):
    """A command failed; it has said why. `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def say(text: str = "") -> None:
    """Print a line now."""
    print(text, flush=True)


def samehost(
    *arguments: str, feed: str | None = None, quiet: bool = False, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `samehost ARGUMENTS`. `quiet`: neither show the command nor what it says.

    Raises StepFailedError if `check` and it fails, KeyboardInterrupt if it was interrupted.
    """
    if not quiet:
        typed = shlex.join(["samehost", *arguments])
        say(f"$ {typed}" if feed is None else f"$ printf {feed!r} | {typed}")
    result = _run([str(SAMEHOST), *arguments], feed, quiet)
    if result.returncode in (130, -2):
        raise KeyboardInterrupt
    if check and result.returncode:
        if quiet:
            say((result.stdout + result.stderr).strip())
        raise StepFailedError(result.returncode)
    return result


def _run(argv: list[str], feed: str | None, quiet: bool) -> subprocess.CompletedProcess[str]:
    output = subprocess.PIPE if quiet else None
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
        stdout=output,
        stderr=output,
        text=True,
    )
    try:
        out, errors = process.communicate(feed)
    except KeyboardInterrupt:
        process.wait()
        raise
    return subprocess.CompletedProcess(argv, process.returncode, out or "", errors or "")


def is_our_link() -> bool:
    """True if the command's link for all users leads to this clone."""
    return LINK.is_symlink() and os.readlink(LINK) == str(SAMEHOST)
