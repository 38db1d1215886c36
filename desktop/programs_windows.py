"""Where programs lie on Windows: in the folders of PATH that name a drive, as `.exe` only.

Source: learn.microsoft.com, CreateProcessW ("lpCommandLine": the current directory comes before
PATH); CPython's `shutil.which` looks there first as well. A batch file would take our arguments
apart by rules of its own, and a folder without a drive is one of whichever drive we are on.

Limits: has not run on Windows. Counterpart: `programs.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["INSTALLED", "find"]

INSTALLED: Final = ()
"""Installers there put their folders on PATH."""

SUFFIX: Final = ".exe"


def find(program: str, path: str) -> str | None:
    """See `programs.Programs.find`."""
    if os.path.dirname(program):
        return program if os.path.isfile(program) else None
    name = program if program.lower().endswith(SUFFIX) else program + SUFFIX
    files = (Path(folder) / name for folder in path.split(os.pathsep))
    return next((str(file) for file in files if file.is_absolute() and file.is_file()), None)
