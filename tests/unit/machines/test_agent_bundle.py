"""The agent as one file."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import tokenize
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.errors import SamehostError
from desktop.machines import agent_bundle
from desktop.machines.agent_bundle import SIZE_LIMIT, build_agent
from link.outcome import Outcome

PROJECT = Path(__file__).parents[3]

MOST_MEMORY = 5 << 20
"""Bytes. With the trees of all parts at once it is more than 14 MiB."""


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    build_agent(tmp_path / "one")
    build_agent(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_size_is_returned_and_below_the_limit(tmp_path: Path) -> None:
    target = tmp_path / "agent.pyz"
    assert build_agent(target) == target.stat().st_size < SIZE_LIMIT


def test_to_build_it_takes_no_more_memory_than_its_largest_part(tmp_path: Path) -> None:
    # The allocator keeps what it once had: the daemon would have it for good.
    tracemalloc.start()
    try:
        build_agent(tmp_path / "agent.pyz")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_MEMORY


def test_it_holds_the_sources_of_agent_and_link_and_nothing_else(tmp_path: Path) -> None:
    build_agent(tmp_path / "agent.pyz")
    names = zipfile.ZipFile(tmp_path / "agent.pyz").namelist()
    assert {name.split("/")[0] for name in names} == {"__main__.py", "link", "vmagent"}
    assert {Path(name).suffix for name in names} == {".py"}
    assert {"link/__init__.py", "vmagent/__main__.py"} <= set(names)


class Bare(ast.NodeTransformer):
    """A program without texts, `__all__` and types that nothing makes use of when it runs.

    Attributes:
        types: those on one line that were met.
    """

    def __init__(self) -> None:
        self.types: list[ast.expr] = []

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [each for each in body if not (is_text(each) or is_all(each))]
            node.body = [each for each in kept if not isinstance(each, ast.Pass)]  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._note(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self._note(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._note(node.annotation)
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        node.body = [each for each in node.body if each not in fields]
        self.generic_visit(node)
        node.body = [*fields, *node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return node
        self._note(node.annotation)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def _note(self, annotation: ast.expr | None) -> None:
        if annotation is not None and annotation.lineno == annotation.end_lineno:
            self.types.append(annotation)


def bare(source: bytes) -> tuple[str, list[int]]:
    """What a program does, and on which lines its statements begin."""
    tree = Bare().visit(ast.parse(source))
    return ast.dump(tree), [each.lineno for each in ast.walk(tree) if isinstance(each, ast.stmt)]


def is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def is_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def packed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The modules in an agent that is built in `folder`, by name."""
    build_agent(folder / "agent.pyz")
    with zipfile.ZipFile(folder / "agent.pyz") as bundle:
        for name in bundle.namelist():
            if name != "__main__.py":
                yield name, bundle.read(name)


def test_every_module_in_it_does_the_same_on_the_same_lines(tmp_path: Path) -> None:
    for name, module in packed(tmp_path):
        assert bare(module) == bare((PROJECT / name).read_bytes()), name
        compile(module, name, "exec")


def test_what_only_people_read_and_what_only_checks_types_stays_at_home(tmp_path: Path) -> None:
    for name, module in packed(tmp_path):
        tree = ast.parse(module)
        nodes = [each for each in ast.walk(tree) if isinstance(each, ast.stmt)]
        assert not any(is_text(each) or is_all(each) for each in nodes), name
        visitor = Bare()
        visitor.visit(tree)
        assert not visitor.types, name
        tokens = tokenize.tokenize(io.BytesIO(module).readline)
        comments = [each.line for each in tokens if each.type == tokenize.COMMENT]
        assert all("'" in line or '"' in line for line in comments), name


def test_a_line_is_indented_by_one_space_for_four(tmp_path: Path) -> None:
    steps = {
        function.body[0].col_offset
        for _, module in packed(tmp_path)
        for function in ast.parse(module).body
        if isinstance(function, ast.FunctionDef)
    }
    assert steps == {1}


def test_every_import_in_it_finds_its_module_and_what_nobody_imports_stays_at_home(
    tmp_path: Path,
) -> None:
    build_agent(tmp_path / "agent.pyz")
    names = set(zipfile.ZipFile(tmp_path / "agent.pyz").namelist())
    modules = sorted(name.removesuffix(".py").replace("/", ".") for name in names)
    program = "import importlib, sys; [importlib.import_module(each) for each in sys.argv[1:]]"
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path[:0] = [sys.argv.pop(1)]; {program}",
    ]
    loaded = [each for each in modules if "__main__" not in each]
    subprocess.run([*command, str(tmp_path / "agent.pyz"), *loaded], check=True, timeout=60)
    assert "link/relay/splice.py" in names
    assert "link/relay/portable.py" not in names, "the agent's relay is that of Linux"


@pytest.mark.parametrize("order", ["no JSON\n", "[" * 60_000 + "\n"], ids=["none", "too deep"])
def test_it_runs_alone_and_refuses_a_configuration_that_is_none(tmp_path: Path, order: str) -> None:
    build_agent(tmp_path / "agent.pyz")
    result = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "agent.pyz")],
        input=order,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        timeout=30,
    )
    assert result.returncode == Outcome.DAMAGED
    assert '"ready": false' in result.stdout


def test_an_older_file_is_replaced_and_no_other_file_is_left(tmp_path: Path) -> None:
    target = tmp_path / "agent.pyz"
    target.write_text("old")
    build_agent(target)
    assert zipfile.is_zipfile(target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.pyz"]


def test_one_that_is_too_large_is_an_error_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "agent.pyz"
    target.write_text("old")
    monkeypatch.setattr(agent_bundle, "MAIN", os.urandom(SIZE_LIMIT))
    with pytest.raises(SamehostError, match="bytes"):
        build_agent(target)
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.pyz"]
