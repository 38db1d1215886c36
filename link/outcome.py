"""How the start of an agent may end, in one vocabulary: exit statuses of a program in the machine.

Said by the script that looks for Python (`desktop/machines/bootstrap.py`) and by the agent itself,
understood by the desktop, which knows what to advise (`desktop/machines/advice.py`). `word` is the
same in the agent's answer. Rules: the numbers keep clear of those that mean something already: of
shells (126 and more, POSIX 2.8.2), of sysexits(3) (64 to 78), and of ssh(1) (255).
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Outcome"]


class Outcome(IntEnum):
    """Why there is no agent."""

    NO_PYTHON = 81
    """No python3 in the machine."""
    OLD_PYTHON = 82
    """None that is new enough, 3.9."""
    NO_PERMISSION = 83
    """Not root, and not allowed to become root without a password."""
    NOT_LINUX = 84
    """The machine's kernel is another."""
    WRONG_VERSION = 85
    """The order is one that this agent does not understand."""
    NO_DOOR = 86
    """It cannot listen as it was told."""
    DAMAGED = 87
    """What arrived of the agent is not what was sent."""
    BANNER_ONLY = 88
    """The log-in printed something and ended well, without running what it was told; seen by the
    desktop."""
    KILLED = 89
    """Somebody, or a want of memory, ended it; seen by the desktop."""

    @property
    def word(self) -> str:
        """As it is written in the agent's answer."""
        return self.name.lower()

    @classmethod
    def of_word(cls, word: str) -> Outcome | None:
        """That which is written so; None if there is none."""
        return next((each for each in cls if each.word == word), None)

    @classmethod
    def of_status(cls, status: int | None) -> Outcome | None:
        """That which a program with this exit status means; None if it means none."""
        return next((each for each in cls if each == status), None)
