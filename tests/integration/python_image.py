"""An image with nothing but Python, as one for the agent would be, from Debian's own packages.

Made where `scripts.demo_image` makes the other: no image registry is needed.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final

from scripts.root_archive import RootArchive, output

__all__ = ["PYTHON_IMAGE", "build_python_image"]

PYTHON_IMAGE: Final = "samehost/python:latest"
SYSTEM_PYTHON: Final = Path("/usr/bin/python3")


def build_python_image(target: Path) -> None:
    """Write the archive of the root file system, which `docker import` takes."""
    python = SYSTEM_PYTHON.resolve()
    packages = (f"{python.name}-minimal", f"lib{python.name}-minimal", f"lib{python.name}-stdlib")
    library = Path("/usr/lib") / python.name
    files = [Path(line) for line in output("dpkg-query", "--listfiles", *packages).splitlines()]
    wanted = sorted({python, *(file for file in files if library in file.parents)})
    with tarfile.open(target, "w") as archive:
        root = RootArchive(archive)
        root.link(str(SYSTEM_PYTHON)[1:], python.name)
        for file in wanted:
            if file.is_file():
                root.file(str(file)[1:], file.read_bytes())
        root.libraries(str(file) for file in wanted if file == python or file.suffix == ".so")
