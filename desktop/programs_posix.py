"""Where programs lie on Linux and macOS: in the folders of PATH, whatever the person put there.

Counterpart: `programs.py`.
"""

from __future__ import annotations

import shutil
from typing import Final

__all__ = ["INSTALLED", "find"]

INSTALLED: Final = (
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/opt/local/bin",
    "/opt/podman/bin",
    "/opt/rancher-desktop/resources/resources/linux/bin",
)
"""Of Homebrew, MacPorts and the tools' own installers."""


def find(program: str, path: str) -> str | None:
    """See `programs.Programs.find`."""
    return shutil.which(program, path=path)
