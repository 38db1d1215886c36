"""What every finder guarantees, and what they share.

Guarantees, proven for each by `tests/contract/test_finders.py`: `find` never raises for what a tool
does or leaves on the disk, whatever that is. A tool that is not there gives nothing; one that
fails, hangs, floods or talks nonsense gives a finding that names it and says what to do, and what
could be understood is used all the same. It is over within FIND_SECONDS, and no process is left.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from desktop.findings import Finding
from desktop.machines.found.model import Sighting, is_name, one_line
from desktop.machines.found.tools import ToolError, Tools, ToolTrouble

__all__ = [
    "FIND_SECONDS",
    "LARGEST_FILE",
    "MOST_MACHINES",
    "Finder",
    "Named",
    "NonsenseError",
    "json_lines",
    "json_value",
    "read_small",
    "usable",
]

FIND_SECONDS: Final = 8.0
"""How long one finder may take with all that it asks."""

MOST_MACHINES: Final = 100
"""Of one tool. No table is readable with more."""

MOST_NONSENSE: Final = 100
"""Lines that are not understood before the rest is not looked at."""

LARGEST_FILE: Final = 1 << 20
"""Bytes of a tool's configuration file that are read."""

T = TypeVar("T")


class NonsenseError(ValueError):
    """What a tool printed or wrote is not of the form that it is known to have."""


class Finder(abc.ABC):
    """Looks for the machines of one tool.

    Attributes:
        program: what is asked first, as a person would call it.
        tools: how it is asked.
    """

    program: str

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    @abc.abstractmethod
    def owns(self, name: str) -> bool:
        """True if a machine of that name could only be one of this finder's."""

    @abc.abstractmethod
    async def look(self) -> Sighting:
        """Ask. Raises ToolError, OSError, NonsenseError, TimeoutError."""

    async def find(self) -> Sighting:
        """All machines now; see the module for what it guarantees."""
        try:
            async with asyncio.timeout(FIND_SECONDS):
                return await self.look()
        except TimeoutError:
            return self._skipped(f"took more than {FIND_SECONDS:g} seconds", "see what keeps it")
        except ToolError as error:
            return self.without_answer(error)
        except NonsenseError as error:
            return self._skipped(str(error), self.unknown_remedy)
        except OSError as error:
            return self._skipped(str(error), "look at that file or folder")

    def without_answer(self, error: ToolError) -> Sighting:
        """What a tool that gave no answer means: nothing if it is not installed."""
        if error.trouble is ToolTrouble.NOT_INSTALLED or self._is_for_others(error):
            return Sighting()
        if _is_refused_to_root(error):
            user = self.tools.environment["SUDO_USER"]
            return Sighting(
                findings=(
                    Finding(
                        f"the {self.program} machines of {user} were not looked for:"
                        f" {self.program} does not work as root",
                        "run samehost without sudo to use them",
                    ),
                )
            )
        return Sighting(findings=(Finding(error.message, error.remedy),))

    def _is_for_others(self, error: ToolError) -> bool:
        """True if root has no such machines, and nobody else asks."""
        return _is_refused_to_root(error) and not self.tools.environment.get("SUDO_USER")

    def _skipped(self, what: str, remedy: str) -> Sighting:
        return Sighting(findings=(Finding(f"{self.program}: {what}", remedy),))

    @property
    def unknown_remedy(self) -> str:
        """What to do about words that are not understood."""
        return f"see whether {self.program} works, and whether there is a newer samehost"


def _is_refused_to_root(error: ToolError) -> bool:
    """True if a tool says that it does not work as root, as Lima and Podman do."""
    return error.trouble is ToolTrouble.FAILED and "as root" in error.said.replace(
        "the root", "root"
    )


def json_value(text: bytes, kind: type[T]) -> T:
    """One JSON text. Raises NonsenseError."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NonsenseError(f"what it said is not understood: {error}") from error


def json_lines(text: bytes, kind: type[T]) -> tuple[list[T], str]:
    """JSON texts, one a line; and what is wrong with lines that are none, "" if there are none.

    After MOST_NONSENSE of these no more is read.
    """
    values: list[T] = []
    problems: list[str] = []
    for line in _lines(text):
        try:
            values.append(json_value(line, kind))
        except NonsenseError as error:
            problems.append(str(error))
            if len(problems) == MOST_NONSENSE:
                break
    others = f" (and {len(problems) - 1} more lines)" if len(problems) > 1 else ""
    return values, problems[0] + others if problems else ""


class Named(Protocol):
    """Something of which a tool has said the name."""

    @property
    def name(self) -> str:
        """As the tool has it."""


N = TypeVar("N", bound=Named)


def usable(named: Iterable[N], program: str) -> tuple[list[N], list[Finding]]:
    """Those whose name can be given to a tool, MOST_MACHINES at most; and about the others."""
    good: list[N] = []
    findings: list[Finding] = []
    for each in named:
        if is_name(each.name):
            good.append(each)
        elif not findings:
            shown = one_line(each.name) or "(empty)"
            findings.append(Finding(f"{program}: not a name for a machine: {shown}", ""))
    if len(good) > MOST_MACHINES:
        findings.append(Finding(f"{program}: only {MOST_MACHINES} of its machines are shown", ""))
    return good[:MOST_MACHINES], findings


def _lines(text: bytes) -> Iterator[bytes]:
    return (line for line in text.splitlines() if line.strip())


def read_small(path: Path) -> bytes:
    """A file of at most LARGEST_FILE bytes. Raises OSError, NonsenseError."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise NonsenseError(f"{path} has more than {LARGEST_FILE >> 20} MiB")
    return content
