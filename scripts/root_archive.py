"""A container image's root file system, put together from files of this computer.

Rules: no image registry is needed, only installed programs. A program brings the shared libraries
that it names (ldd(1)), under the paths by which it looks for them. Everything belongs to root.

Counterparts: `demo_image`, and `tests.integration.python_image`.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["EXECUTABLE", "RootArchive", "output", "shared_libraries"]

EXECUTABLE: Final = 0o755


class RootArchive:
    """Fills a tar file. Names are paths without a slash at the beginning."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._made: set[str] = set()

    def folder(self, name: str, mode: int = EXECUTABLE) -> None:
        """Add a folder."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._archive.addfile(entry)
        self._made.add(name)

    def file(self, name: str, content: bytes, mode: int = EXECUTABLE) -> None:
        """Add a file, and the folders that it lies in."""
        self._parents(name)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        self._archive.addfile(entry, io.BytesIO(content))

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link, and the folders that it lies in."""
        self._parents(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._archive.addfile(entry)

    def libraries(self, programs: Iterable[str]) -> None:
        """Add the shared libraries, and the loader, of some programs or libraries."""
        for library in shared_libraries(programs):
            self.file(library.lstrip("/"), Path(library).read_bytes())

    def _parents(self, name: str) -> None:
        for parent in reversed(Path(name).parents):
            if str(parent) not in {".", *self._made}:
                self.folder(str(parent))


def shared_libraries(programs: Iterable[str]) -> list[str]:
    """Paths of the shared libraries, and of the loader, as the programs look for them."""
    found = set()
    for program in programs:
        for line in output("ldd", program).splitlines():
            words = line.split("=>")[-1].split()
            if words and words[0].startswith("/"):
                found.add(words[0])
    return sorted(found)


def output(*argv: str) -> str:
    """What a program says. Raises subprocess.CalledProcessError if it fails."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
