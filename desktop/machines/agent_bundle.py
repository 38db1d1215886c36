"""The agent as one file: a zipapp of `vmagent` and `link`, and nothing else.

Rules: the same source gives the same bytes (fixed time stamps, sorted names), so a bundle can
be told by its hash. Docstrings stay at home, with their lines left blank, so that a traceback
names the lines of the source. Limit: 128 KiB, since it travels to the machine at every start.
This module reads the source as files and never imports it: the desktop and the agent share only
`link`.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError

__all__ = ["SIZE_LIMIT", "build_agent", "without_docstrings"]

SIZE_LIMIT: Final = 128 * 1024
"""Bytes; DESIGN 1."""

PACKAGES: Final = ("link", "vmagent")
MAIN: Final = b"""\
import sys

sys.modules["ssl"] = None
from vmagent.__main__ import main

raise SystemExit(main())
"""
"""asyncio does without ssl where it is not to be had, and the agent speaks no TLS: to load it takes
1.7 MiB and some 30 ms."""
EARLIEST_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The zip format knows no earlier one."""

UNIX: Final = 3
READABLE_FILE: Final = 0o100644 << 16
COMPRESSION_LEVEL: Final = 9


def build_agent(target: Path) -> int:
    """Write the agent to `target`, atomically; its size in bytes.

    Raises SamehostError if it is larger than SIZE_LIMIT or its source is not there.
    """
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        _write(new)
        size = new.stat().st_size
        if size > SIZE_LIMIT:
            raise SamehostError(f"the agent has {size} bytes, {SIZE_LIMIT} are allowed")
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)
    return size


def _write(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as bundle:
        _add(bundle, "__main__.py", MAIN)
        for package in PACKAGES:
            for name, source in _sources(package):
                _add(bundle, name, without_docstrings(source.read_bytes()))


def _sources(package: str) -> Iterator[tuple[str, Path]]:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SamehostError(f"the package {package} is not installed", "install samehost again")
    root = Path(next(iter(found.submodule_search_locations)))
    for source in sorted(root.rglob("*.py")):
        yield f"{package}/{source.relative_to(root).as_posix()}", source


def without_docstrings(source: bytes) -> bytes:
    """The same program, line by line, without its docstrings.

    Each stands on lines of its own, as the formatter leaves it; where it is all that a body has,
    `pass` takes its place.
    """
    lines = source.split(b"\n")
    for parent in ast.walk(ast.parse(source)):
        body = getattr(parent, "body", None)
        for node in body if isinstance(body, list) else ():
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            if isinstance(node.value.value, str):
                for number in range(node.lineno - 1, (node.end_lineno or node.lineno)):
                    lines[number] = b""
                if len(body or ()) == 1:
                    lines[node.lineno - 1] = b" " * node.col_offset + b"pass"
    return b"\n".join(lines)


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST_TIME)
    entry.create_system = UNIX
    entry.external_attr = READABLE_FILE
    entry.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(entry, content, compresslevel=COMPRESSION_LEVEL)
