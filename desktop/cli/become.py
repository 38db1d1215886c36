"""Another program in the place of this command, in its terminal. One file per system.

    become(program, arguments, environment) ─▶ exit code of this command

Rules: it has our standard streams, our terminal and our working directory, its arguments as they
are, and what Ctrl-C means is its business. This command ends when it does, with its exit code.
Counterparts: `become_posix.py`, `become_windows.py`; `docker.py` and `gui.py` use it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

__all__ = ["Become", "become"]


class Become(Protocol):
    """What each system's module gives."""

    def __call__(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> int:
        """The exit code to end with at once; does not return where a process can be replaced.

        `program` is a file, or a name that is looked for in PATH. Raises FileNotFoundError if it
        is not there, OSError if it cannot be run.
        """


def become(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    name: str = os.name,
) -> int:
    """See `Become`; by `os.name`, and with this command's own environment if none is given."""
    kind = "windows" if name == "nt" else "posix"
    sys.stdout.flush()
    module = importlib.import_module(f"desktop.cli.become_{kind}")
    variables = os.environ if environment is None else environment
    return cast(Become, module.become)(program, arguments, variables)
