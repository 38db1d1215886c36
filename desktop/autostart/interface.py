"""The one interface of this room: Samehost starts by itself when its user logs in, or does not.

Guarantees of every system's, proven by `tests/contract/test_autostart.py`: turning on or off twice
is as good as once; what somebody else has put in our place is not overwritten; nothing is left
after turning off; nothing is started or ended now, only with the next log-in. No root is needed:
the daemon runs as its user, for a service of the whole computer would not see that user's machines.
"""

from __future__ import annotations

import abc
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from desktop.api.local import verb_command
from desktop.errors import ConflictError, PermissionDeniedError, SamehostError
from desktop.paths import HOME_VARIABLE
from desktop.programs import program_file

__all__ = [
    "MARK",
    "Autostart",
    "Done",
    "Run",
    "Service",
    "Status",
    "put_file",
    "read_ours",
    "run_program",
    "take_file_away",
]

MARK: Final = "Written by: samehost autostart on"
"""In every file of ours, so that no other is taken for one."""
SECONDS: Final = 15.0
"""Most that a system's own tool may take."""


class Done(NamedTuple):
    """What a program came to."""

    code: int
    said: str


Run = Callable[[Sequence[str]], Done]
"""Runs a program to its end. Raises SamehostError if that cannot be."""


@dataclass(frozen=True)
class Service:
    """What is to be started: a command in the foreground, and its environment besides."""

    command: Sequence[str]
    environment: Mapping[str, str]

    @classmethod
    def of_samehost(cls) -> Service:
        """This very installation, for the folders that are in use now."""
        home = os.environ.get(HOME_VARIABLE)
        environment = {HOME_VARIABLE: str(Path(home).absolute())} if home else {}
        return cls(tuple(verb_command("up", "--foreground")), environment)


@dataclass(frozen=True)
class Status:
    """How it is.

    Attributes:
        is_on: it starts with the next log-in.
        by: what starts it, for a person.
        place: the file or the name that says so; "" if there is none.
        is_packaged: that came with the system's package, and is not ours to remove.
    """

    is_on: bool
    by: str
    place: str = ""
    is_packaged: bool = False


class Autostart(abc.ABC):
    """One system's way. All methods raise SamehostError."""

    @abc.abstractmethod
    def status(self) -> Status:
        """How it is now."""

    @abc.abstractmethod
    def turn_on(self, service: Service) -> None:
        """Start `service` with the next log-in."""

    @abc.abstractmethod
    def turn_off(self) -> None:
        """Start nothing."""


def run_program(command: Sequence[str]) -> Done:
    """See `Run`."""
    try:
        done = subprocess.run(
            [program_file(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise SamehostError(
            f"this system has no {command[0]}", "start it yourself: samehost up"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SamehostError(f"{command[0]} failed: {error}", "try again") from error
    encoding = "oem" if sys.platform == "win32" else "utf-8"
    return Done(done.returncode, done.stdout.decode(encoding, "replace").strip())


def _failed(path: Path, what: str, error: OSError) -> SamehostError:
    words = f"{path} cannot be {what}: {error.strerror}"
    if isinstance(error, PermissionError):
        return PermissionDeniedError(words, f"see that {path.parent} is yours, then try again")
    return SamehostError(words, f"look at {path.parent}, then try again")


def read_ours(path: Path) -> bytes | None:
    """A file of ours; None if there is none. Raises ConflictError if it is not, SamehostError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, "read", error) from error
    if MARK.encode() not in content:
        raise ConflictError(f"{path} is somebody else's", f"look at it, and move {path} away")
    return content


def put_file(path: Path, content: bytes) -> None:
    """Write a file of ours in one step, if it is not so already. Raises SamehostError."""
    if read_ours(path) == content:
        return
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.write_bytes(content)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise _failed(path, "written", error) from error


def take_file_away(path: Path) -> None:
    """Remove a file of ours, if there is one. Raises SamehostError."""
    if read_ours(path) is None:
        return
    try:
        path.unlink()
    except OSError as error:
        raise _failed(path, "removed", error) from error
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # if it was made for this file
