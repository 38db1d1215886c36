"""Finds a Python of this computer, which the sandbox shares, for the agent."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from desktop.errors import MachineUnreachableError
from desktop.machines.sandbox.programs import environment, run
from desktop.programs import find_program

__all__ = ["find_python"]

OLDEST_PYTHON: Final = (3, 9)
USUAL_PYTHON: Final = "/usr/bin/python3"
VERSION_PROGRAM: Final = "import sys; print(*sys.version_info[:2])"


async def find_python(candidates: Iterable[str | None] | None = None) -> str:
    """A Python for the agent, at least 3.9. Raises MachineUnreachableError."""
    usual = (USUAL_PYTHON, find_program("python3", environment()["PATH"]), sys.executable)
    refused = []
    for candidate in _existing(candidates or usual):
        result = await run(candidate, "-I", "-c", VERSION_PROGRAM, check=False)
        version = result.stdout.split()
        if result.returncode == 0 and tuple(map(int, version)) >= OLDEST_PYTHON:
            return candidate
        refused.append(f"{candidate} is {'.'.join(version) or 'broken'}")
    raise MachineUnreachableError(
        "no Python 3.9 or newer for the agent: " + (", ".join(refused) or "no python3 at all"),
        "sudo apt-get install python3",
    )


def _existing(candidates: Iterable[str | None]) -> list[str]:
    return [path for path in dict.fromkeys(candidates) if path and Path(path).exists()]
