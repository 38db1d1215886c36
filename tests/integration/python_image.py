"""An image with nothing but Python, as one for the agent would be, from Debian's own packages.

Made where `scripts.helper_image` makes that of the helper container: no image registry is needed.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final

from scripts.helper_image import fill_with_python
from scripts.root_archive import RootArchive

__all__ = ["PYTHON_IMAGE", "build_python_image"]

PYTHON_IMAGE: Final = "samehost/python:latest"


def build_python_image(target: Path) -> None:
    """Write the archive of the root file system, which `docker import` takes."""
    with tarfile.open(target, "w") as archive:
        fill_with_python(RootArchive(archive))
