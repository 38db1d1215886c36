"""Where a program lies that others have installed: one file per system.

    find_program("podman")   its file, or None
    program_file("podman")   its file, or FileNotFoundError: what to run, and never the bare name

Rules: whoever runs a program of another maker, or of the system, by its name asks here. Given the
name alone, Windows would look in the working directory first, which is where the person stood, and
where anybody may have laid a program of that name. Counterparts: `programs_posix.py`,
`programs_windows.py`.
"""

from __future__ import annotations

import errno
import importlib
import os
from typing import Protocol, cast

__all__ = ["Programs", "find_program", "program_file", "programs"]


class Programs(Protocol):
    """What each system's module gives.

    Attributes:
        INSTALLED: folders of installers, which a desktop session's or service's PATH often lacks.
    """

    INSTALLED: tuple[str, ...]

    def find(self, program: str, path: str) -> str | None:
        """The file of a program, by the folders of `path`; one that names a folder is itself."""


def programs(name: str = os.name) -> Programs:
    """The module for a system, by `os.name`."""
    kind = "windows" if name == "nt" else "posix"
    return cast(Programs, importlib.import_module(f"desktop.programs_{kind}"))


def find_program(program: str, path: str | None = None, name: str = os.name) -> str | None:
    """The file of a program, by this process's PATH if no other is given; None if there is none."""
    folders = os.environ.get("PATH", os.defpath) if path is None else path
    return programs(name).find(program, folders)


def program_file(program: str, path: str | None = None, name: str = os.name) -> str:
    """The same. Raises FileNotFoundError if there is none."""
    found = find_program(program, path, name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    return found
