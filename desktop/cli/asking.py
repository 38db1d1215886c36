"""Asks the person at the terminal what only they know, such as a password.

Rules: asked only where standard input is a terminal; where it is none, nobody answers. What is
secret is not shown while it is typed. A question is a stranger's words: what could steer the
terminal is left out.
"""

from __future__ import annotations

import getpass
import sys

from desktop.api.client import Ask
from desktop.cli.output import Progress, clean

__all__ = ["asking"]


def asking(progress: Progress) -> Ask:
    """For `ApiClient.call`; `progress` makes room for the question."""

    def ask(question: str, is_secret: bool) -> str | None:
        if not sys.stdin.isatty():
            return None
        progress.wipe()
        words = f"{clean(question).strip()} "
        try:
            if is_secret:
                return getpass.getpass(words)
            print(words, end="", file=sys.stderr, flush=True)
            return sys.stdin.readline().rstrip("\n")
        except EOFError:
            return None

    return ask
