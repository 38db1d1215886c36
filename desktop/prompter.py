"""Questions that only a person can answer, such as for a password.

    SSH log-in ─▶ ask() ─▶ the prompter of this context ─▶ whoever asked for the work

Rules: who can be asked is known by context (`contextvars`): whoever begins work on a person's
behalf sets `prompter`, every task begun from there inherits it, and nothing between has to hand it
on. Where nobody set one, or the person has gone, asking fails at once with the remedy of whoever
asks. Answers are secrets: they are in no log, file, argument or environment.

Counterparts: `desktop.api.connection` asks a client over the control API, `desktop.cli.asking` the
terminal.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["NobodyToAskError", "Prompter", "ask", "prompter"]


class NobodyToAskError(Exception):
    """There is no person, or they do not want to answer."""


class Prompter(Protocol):
    """A person, as a program sees them."""

    async def ask(self, question: str, *, is_secret: bool) -> str:
        """Their answer, which is not shown while it is typed if `is_secret`.

        Raises NobodyToAskError.
        """


prompter: Final[ContextVar[Prompter | None]] = ContextVar("prompter", default=None)
"""Who can be asked for what is done in this context."""


async def ask(question: str, *, is_secret: bool = True) -> str:
    """Ask whoever can be asked in this context. Raises NobodyToAskError."""
    person = prompter.get()
    if person is None:
        raise NobodyToAskError
    return await person.ask(question, is_secret=is_secret)
