"""What a person can do about an agent that did not start (`link.outcome`)."""

from __future__ import annotations

from typing import Final

from link.outcome import Outcome

__all__ = ["advice_for"]

_PYTHON: Final = (
    "install Python 3.9 or newer in the machine, for example: sudo apt-get install python3, "
    "sudo dnf install python3, or sudo apk add python3"
)

_ADVICE: Final = {
    Outcome.NO_PYTHON: _PYTHON,
    Outcome.OLD_PYTHON: _PYTHON,
    Outcome.NO_PERMISSION: (
        "the agent has to be root in the machine: log in as root, or allow the user sudo without a "
        "password, for example in /etc/sudoers.d/samehost: USER ALL=(root) NOPASSWD: ALL"
    ),
    Outcome.NOT_LINUX: "host networking is about Linux containers: name a Linux machine",
    Outcome.WRONG_VERSION: "restart Samehost: samehost down, then samehost up",
    Outcome.NO_DOOR: "look at the machine's /run and /tmp: one of them has to be writable",
    Outcome.BANNER_ONLY: (
        "the user needs a log-in shell that runs commands: see its entry in /etc/passwd of the "
        "machine, its ~/.bashrc, ~/.profile, and ForceCommand of sshd"
    ),
    Outcome.KILLED: "look for the reason in the machine, for example: sudo dmesg | tail",
    Outcome.DAMAGED: (
        "something in the machine's log-in reads its standard input or writes to it: see its "
        "~/.bashrc, ~/.profile and ForceCommand"
    ),
}


def advice_for(outcome: Outcome | None) -> str:
    """What to do next, for a person."""
    if outcome is None:
        return "see `samehost logs`"
    return _ADVICE[outcome]
