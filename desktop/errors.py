"""What can go wrong on the desktop, said so that a person can act on it.

Every error that reaches a person is a `SamehostError`: whose fault it is, what to do next, and
the exit code of the command line (DESIGN: the one vocabulary of exit codes). The control API
carries the same three fields, so the window and the command line say the same words.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "ConflictError",
    "ExitCode",
    "MachineUnreachableError",
    "NotRunningError",
    "PermissionDeniedError",
    "SamehostError",
    "UsageError",
    "VersionMismatchError",
]


class ExitCode(IntEnum):
    """Exit codes of `samehost`; documented in its help and manual."""

    DONE = 0
    """Done."""
    FAILED = 1
    """Failed for another reason than those below."""
    USAGE = 2
    """What was asked for does not exist, or has the wrong form."""
    NOT_RUNNING = 3
    """The daemon does not run, or host networking is off."""
    MACHINE_UNREACHABLE = 4
    """The machine does not start, or its agent does not answer."""
    PERMISSION = 5
    """The operating system or the administrator does not allow it."""
    CONFLICT = 6
    """Something else holds what is needed: a port, a file, a running daemon."""
    VERSION_MISMATCH = 7
    """Two parts of different versions met."""
    INTERRUPTED = 130
    """Interrupted by Ctrl-C."""


class SamehostError(Exception):
    """Something a person has to know: `message` says what is wrong, `remedy` what to do.

    `is_lasting` says that to try again, with nothing done, would change nothing.
    """

    code = ExitCode.FAILED
    is_lasting = False

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(SamehostError):
    """The caller asked for something that does not exist or has the wrong form."""

    code = ExitCode.USAGE


class NotRunningError(SamehostError):
    """The daemon is not there, or host networking is off."""

    code = ExitCode.NOT_RUNNING


class MachineUnreachableError(SamehostError):
    """The machine does not start, or its agent does not answer."""

    code = ExitCode.MACHINE_UNREACHABLE


class PermissionDeniedError(SamehostError):
    """The operating system or the administrator does not allow it."""

    code = ExitCode.PERMISSION


class ConflictError(SamehostError):
    """Something else holds what is needed: a port, a lock, a running daemon."""

    code = ExitCode.CONFLICT


class VersionMismatchError(SamehostError):
    """Two parts of different versions met."""

    code = ExitCode.VERSION_MISMATCH
