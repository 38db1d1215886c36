"""A root file system in memory: a part of this computer, for a guest that boots it.

Everything is at the same path as here, so that nothing in it has to be told where it is. The
format is the one that the kernel unpacks (cpio "newc", initramfs-buffer-format).

Limits: files, folders and links, all root's; Linux on this computer, for ldd(1).

Counterparts: `guest` boots it; `scripts.root_archive` makes what an engine imports.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from scripts.root_archive import shared_libraries

__all__ = ["Image", "add_packages", "add_python", "add_tree"]

LEFT_OUT: Final = (
    *("site-packages", "dist-packages", "test", "idlelib", "ensurepip", "lib2to3", "pydoc_data"),
    *("config-*", "*tkinter*", "*.opt-[12].pyc"),
)
"""Of Python's folders and files, by pattern: what no test needs, and is most of it."""

MAGIC: Final = "070701"
NO_MORE: Final = "TRAILER!!!"
"""Of the format."""


class Image:
    """A tree of files that grows by what is added."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._there: set[str] = {"/"}

    def add(self, path: Path) -> None:
        """A file or folder of this computer, as it is, with what leads there; not what is in it."""
        for each in (*reversed(path.parents), path):
            if each.is_symlink():
                self._add_link(each)
                self.add(each.parent / os.readlink(each) / path.relative_to(each))
                return
            status = each.stat()
            content = each.read_bytes() if each.is_file() else b""
            self._append(str(each), status.st_mode, content, int(status.st_mtime))

    def put(self, path: str, content: bytes, permissions: int = 0o644) -> None:
        """A file with this content in the root folder, or in one that was added."""
        self._append(path, stat.S_IFREG | permissions, content, 0)

    def put_folder(self, path: str) -> None:
        """An empty folder, in one that is there."""
        self._append(path, stat.S_IFDIR | 0o755, b"", 0)

    def pack(self) -> bytes:
        """All of it, as the kernel takes it."""
        self._append(f"/{NO_MORE}", 0, b"", 0)
        return b"".join(self._parts)

    def _add_link(self, path: Path) -> None:
        self._append(str(path), stat.S_IFLNK | 0o777, os.readlink(path).encode(), 0)

    def _append(self, path: str, mode: int, content: bytes, modified: int) -> None:
        if path in self._there:
            return
        self._there.add(path)
        name = path.lstrip("/").encode() + b"\0"
        fields = (
            *(len(self._there), mode, 0, 0, 1, modified, len(content)),
            *(0, 0, 0, 0, len(name), 0),
        )
        header = MAGIC + "".join(f"{field:08x}" for field in fields)
        self._parts += [_padded(header.encode() + name), _padded(content)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def add_tree(image: Image, folder: Path, left_out: Sequence[str] = ()) -> None:
    """A folder with all that is in it, but for files and folders whose names match."""

    def is_wanted(name: str) -> bool:
        return not any(fnmatch(name, pattern) for pattern in left_out)

    for place, folders, files in os.walk(folder):
        folders[:] = filter(is_wanted, folders)
        for name in filter(is_wanted, files):
            image.add(Path(place, name))


def add_python(image: Image) -> None:
    """The interpreter of this process, its standard library and the system's that they need."""
    image.add(Path(sys.executable))
    settings = Path(sys.prefix, "pyvenv.cfg")
    if settings.exists():
        image.add(settings)
    for kind in ("stdlib", "platstdlib"):
        add_tree(image, Path(sysconfig.get_path(kind, vars=_base())), LEFT_OUT)
    extensions = Path(sysconfig.get_path("platstdlib", vars=_base()), "lib-dynload").glob("*.so")
    used = [path for path in extensions if "tkinter" not in path.name]
    _add_libraries(image, [Path(sys.executable), *used])


def _base() -> dict[str, str | int]:
    """What makes paths those of Python itself, where it runs in a virtual environment."""
    return {
        "base": sys.base_prefix,
        "platbase": sys.base_exec_prefix,
        "installed_base": sys.base_prefix,
        "installed_platbase": sys.base_exec_prefix,
    }


def add_packages(image: Image, names: Iterable[str]) -> None:
    """Installed Python packages, with those that they need."""
    todo, done = list(names), set()
    while todo:
        requirement = Requirement(todo.pop())
        is_wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if requirement.name in done or not is_wanted:
            continue
        done.add(requirement.name)
        package = distribution(requirement.name)
        todo += package.requires or []
        paths = [Path(str(package.locate_file(each))) for each in package.files or ()]
        paths = [path for path in paths if path.is_relative_to(sysconfig.get_path("purelib"))]
        for path in paths:
            if path.exists():
                image.add(path)
        _add_libraries(image, [path for path in paths if path.suffix == ".so"])


def _add_libraries(image: Image, programs: Iterable[Path]) -> None:
    for path in shared_libraries(map(str, programs)):
        image.add(Path(path))
