"""The agent as one file: a zipapp of what it loads of `vmagent` and `link`, and nothing else.

Rules: the same source gives the same bytes (fixed time stamps, sorted names), so a bundle can
be told by its hash. What nothing makes use of there stays at home: docstrings, comments, `__all__`,
the types of parameters, results and variables, three of four spaces of an indentation, and modules
that nothing in it imports, anywhere. The types of a class's own fields travel: dataclasses are made
of them. Every line keeps its number, so that a traceback names the lines of the source.
Limit: 128 KiB, since it travels to the machine at every start.
This module reads the source as files and never imports it: the desktop and the agent share only
`link`.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from desktop.errors import SamehostError

__all__ = ["SIZE_LIMIT", "build_agent"]

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

INDENTATION: Final = 4
"""Spaces, as the formatter leaves them."""


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
    modules = {
        name: _read(source.read_bytes())
        for package in PACKAGES
        for name, source in _sources(package)
    }
    needed = _needed(modules)
    with zipfile.ZipFile(path, "w") as bundle:
        _add(bundle, "__main__.py", MAIN)
        for name, module in modules.items():
            if name in needed:
                _add(bundle, name, module.program)


def _sources(package: str) -> Iterator[tuple[str, Path]]:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SamehostError(f"the package {package} is not installed", "install samehost again")
    root = Path(next(iter(found.submodule_search_locations)))
    for source in sorted(root.rglob("*.py")):
        yield f"{package}/{source.relative_to(root).as_posix()}", source


class _Module(NamedTuple):
    """What of a source goes into the agent.

    Attributes:
        imports: names of modules, and of what is imported from them, which may be modules.
        program: the same program, line by line, without what only people read.
    """

    imports: list[str]
    program: bytes


def _read(source: bytes) -> _Module:
    """Its tree is dropped at once: all of them together take as much as all else in the daemon."""
    reader = _Reader(source)
    return _Module(reader.imports, reader.program)


class _Reader:
    """Takes from a source what a `_Module` has."""

    def __init__(self, source: bytes) -> None:
        self.imports: list[str] = []
        self._lines = source.split(b"\n")
        self._texts: set[int] = set()
        self._fields: set[ast.AST] = set()
        self._types: list[tuple[int, int, int]] = []
        for node in ast.walk(ast.parse(source)):
            self._take(node)
        for number, start, end in sorted(self._types, reverse=True):
            line = self._lines[number]
            self._lines[number] = line[:start] + line[end:]
        for number in set(range(len(self._lines))) - self._texts:
            self._lines[number] = _narrow(_without_comment(self._lines[number]))
        self.program = b"\n".join(self._lines)

    def _take(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            # What looks like a comment may be a line of a text.
            self._texts.update(range(node.lineno, node.end_lineno or node.lineno))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            self._blank(node)
        elif isinstance(node, ast.Import):
            self.imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            self.imports += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            self._take_types(node)
            body = getattr(node, "body", None)
            if isinstance(body, list):
                self._drop_docstring(body)

    def _take_types(self, node: ast.AST) -> None:
        if isinstance(node, ast.ClassDef):
            self._fields.update(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._drop_type(b" -> ", node.returns)
        elif isinstance(node, ast.arg) or (
            isinstance(node, ast.AnnAssign) and node.value and node not in self._fields
        ):
            self._drop_type(b": ", node.annotation)

    def _drop_type(self, sign: bytes, node: ast.expr | None) -> None:
        """It stands right behind its sign, as the formatter leaves it; few take several lines."""
        if node is None or node.lineno != node.end_lineno:
            return
        start = node.col_offset - len(sign)
        if self._lines[node.lineno - 1].startswith(sign, start):
            self._types.append((node.lineno - 1, start, node.end_col_offset or 0))

    def _drop_docstring(self, body: list[ast.stmt]) -> None:
        """It stands on lines of its own, as the formatter leaves it."""
        for node in body:
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            if isinstance(node.value.value, str):
                self._blank(node)
                if len(body) == 1:  # something has to stand there
                    self._lines[node.lineno - 1] = b" " * node.col_offset + b"pass"

    def _blank(self, node: ast.stmt) -> None:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            self._lines[number] = b""


def _without_comment(line: bytes) -> bytes:
    """A line of code; one with a text before the comment stays as it is: it may be of the text."""
    if line.lstrip().startswith(b"#"):
        return b""
    code, _, _ = line.partition(b"  # ")
    return line if b'"' in code or b"'" in code else code


def _narrow(line: bytes) -> bytes:
    """One space for each step to the right."""
    code = line.lstrip(b" ")
    return b" " * ((len(line) - len(code)) // INDENTATION) + code


def _needed(modules: Mapping[str, _Module]) -> set[str]:
    """The files that the agent may come to load: what is imported, wherever it stands.

    Nothing there imports by a name that is made at run time, which a test proves.
    """
    needed: set[str] = set()
    found = ["vmagent/__main__.py"]
    while found:
        name = found.pop()
        if name in modules and name not in needed:
            needed.add(name)
            for imported in modules[name].imports:
                parts = imported.split(".")
                found += ["/".join(parts[:end]) + "/__init__.py" for end in range(len(parts) + 1)]
                found.append("/".join(parts) + ".py")
    return needed


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST_TIME)
    entry.create_system = UNIX
    entry.external_attr = READABLE_FILE
    entry.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(entry, content, compresslevel=COMPRESSION_LEVEL)
