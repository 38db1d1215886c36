"""The house as it was designed: which room may know which, and how its modules are built.

Everything is read from the source with `ast`, so imports inside functions count and nothing is
run. A new room, pure module or dependency is added to the tables here on purpose, not by habit.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[2]

ROOMS: Final = {
    "link": ["link"],
    "vmagent": ["link", "vmagent"],
    "desktop": ["link", "desktop"],
    "gui": ["gui", "desktop.api"],
}
"""Room by room, what it may import of this project."""

STANDARD_LIBRARY_ONLY: Final = ("link", "vmagent")
OLDEST_PYTHON_IN_THE_MACHINE: Final = (3, 9)

PURE: Final = (
    "link.datagrams.flows",
    "link.datagrams.frames",
    "link.datagrams.grouping",
    "link.datagrams.sockets",
    "link.handshake",
    "link.labels",
    "link.listener",
    "link.maturity",
    "link.messages",
    "link.mux.frames",
    "link.mux.session",
    "link.polling",
    "link.relay.frames",
    "link.session",
    "link.version",
    "link.wire",
    "desktop.api.messages",
    "desktop.api.types",
    "desktop.errors",
    "desktop.api.counters",
    "desktop.api.metrics",
    "desktop.api.states",
    "desktop.daemon.agent_counts",
    "desktop.doctor.redaction",
    "desktop.mirror",
    "gui.deltas",
    "gui.wire",
)
"""Modules, and rooms with all that is in them, that do no I/O and know no clock or platform."""

PURE_LIBRARIES: Final = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "enum",
        "errno",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "msgspec",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "zlib",
    }
)
"""What is allowed there: anything not named may do I/O, ask a clock or depend on the system."""

INPUT_AND_OUTPUT: Final = frozenset({"open", "print", "input", "breakpoint", "exec", "eval"})
DYNAMIC_IMPORTS: Final = frozenset({"__import__", "import_module"})

TIMES_OF_DAY: Final = frozenset(
    {"time.time", "time.time_ns", "time.CLOCK_REALTIME", "datetime.now", "datetime.datetime.now"}
)
MAY_SHOW_THE_TIME: Final = frozenset(
    {"desktop.daemon.wall_clock", "desktop.daemon.inquiries", "vmagent.condition"}
)
"""To people, and to the doctor that compares clocks."""

LOOK_FOR_PROGRAMS: Final = frozenset(
    {"which", "execlp", "execlpe", "execvp", "execvpe", "spawnlp", "spawnvp", "posix_spawnp"}
)
MAY_LOOK_FOR_PROGRAMS: Final = frozenset({"desktop.programs_posix", "desktop.cli.become_posix"})

THREADS: Final = frozenset({"threading", "_thread", "concurrent", "asyncio", "multiprocessing"})
THREADS_OF_QT: Final = frozenset({"QThread", "QThreadPool", "QRunnable", "QtConcurrent"})

LONGEST_FUNCTION: Final = 80
SHORT_FUNCTION: Final = 25
SHORT_SHARE: Final = 0.9
LONGEST_MODULE: Final = 600


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, path and syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def at(self, node: ast.AST) -> str:
        """Where, as editors and terminals understand it."""
        return f"{self.path.relative_to(PROJECT)}:{getattr(node, 'lineno', 1)}"


@cache
def modules_of(room: str) -> tuple[Module, ...]:
    """Every module below a top-level folder."""
    return tuple(
        Module(name_of(path), path, ast.parse(path.read_bytes(), str(path)))
        for path in sorted((PROJECT / room).rglob("*.py"))
    )


def name_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def product() -> tuple[Module, ...]:
    return tuple(module for room in ROOMS for module in modules_of(room))


PRODUCT_AND_TOOLS: Final = (*ROOMS, "packaging", "scripts")


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def imports_of(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every import in a module, wherever it stands, by absolute name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(module, node)
            if any(is_a_module(f"{source}.{alias.name}") for alias in node.names):
                yield from ((node, f"{source}.{alias.name}") for alias in node.names)
            else:
                yield node, source


def absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, *filter(None, [node.module])])


@cache
def is_a_module(name: str) -> bool:
    path = PROJECT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def is_ours(name: str) -> bool:
    return name.split(".")[0] in {*ROOMS, "tests", "packaging", "scripts"}


def is_standard(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names


def expect_none(findings: list[str]) -> None:
    """Fail with all findings, one a line."""
    assert not findings, "\n" + "\n".join(findings)


def calls_in(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call, with the last part of what is called."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield node, function.id
            elif isinstance(function, ast.Attribute):
                yield node, function.attr


# Who may know whom.


def test_the_rooms_are_there() -> None:
    for room in ("desktop", "link", "vmagent"):
        assert len(modules_of(room)) > 5, f"{room}/ was not found in {PROJECT}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_its_arrows_lead_to(room: str) -> None:
    allowed = ROOMS[room]
    expect_none(
        [
            f"{module.at(node)}: {room} may not import {name}, only {' and '.join(allowed)}"
            for module in modules_of(room)
            for node, name in imports_of(module)
            if is_ours(name) and not any(is_within(name, package) for package in allowed)
        ]
    )


@pytest.mark.parametrize("room", STANDARD_LIBRARY_ONLY)
def test_what_runs_in_the_machine_needs_nothing_but_python(room: str) -> None:
    expect_none(
        [
            f"{module.at(node)}: {name} is not in the standard library"
            for module in modules_of(room)
            for node, name in imports_of(module)
            if not is_ours(name) and not is_standard(name)
        ]
    )


def test_the_desktop_imports_only_declared_dependencies() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["dependencies"]
    names = {text.split(";")[0].split(">")[0].strip().replace("-", "_") for text in declared}
    expect_none(
        [
            f"{module.at(node)}: {name} is not a dependency in pyproject.toml"
            for module in modules_of("desktop")
            for node, name in imports_of(module)
            if not is_ours(name) and not is_standard(name) and name.split(".")[0] not in names
        ]
    )


def test_nothing_is_imported_by_a_name_made_at_run_time_in_what_runs_in_the_machine() -> None:
    expect_none(
        [
            f"{module.at(call)}: {name}() hides what is imported"
            for room in STANDARD_LIBRARY_ONLY
            for module in modules_of(room)
            for call, name in calls_in(module)
            if name in DYNAMIC_IMPORTS
        ]
    )


def test_the_desktop_does_not_import_the_agent_by_a_name_made_at_run_time() -> None:
    expect_none(
        [
            f"{module.at(call)}: {name}() of the agent"
            for module in modules_of("desktop")
            for call, name in calls_in(module)
            if name in DYNAMIC_IMPORTS and names_the_agent(call)
        ]
    )


def test_programs_are_looked_for_in_one_place() -> None:
    """Elsewhere Windows would look where the person stands, first: `desktop/programs.py`."""
    expect_none(
        [
            f"{module.at(call)}: {name}() looks for a program; ask desktop.programs"
            for room in ("desktop", "gui")
            for module in modules_of(room)
            if module.name not in MAY_LOOK_FOR_PROGRAMS
            for call, name in calls_in(module)
            if name in LOOK_FOR_PROGRAMS
        ]
    )


def names_the_agent(call: ast.Call) -> bool:
    texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and is_within(text, "vmagent") for text in texts)


def test_packaging_is_no_package_for_it_would_hide_the_one_of_that_name() -> None:
    assert not (PROJECT / "packaging" / "__init__.py").exists()


# What is pure.


def pure_modules() -> list[Module]:
    return [
        module for module in product() if any(is_within(module.name, package) for package in PURE)
    ]


def test_every_pure_module_in_the_table_exists() -> None:
    found = {module.name for module in product()}
    expect_none(
        [
            f"{name} is in the table of pure modules but not there"
            for name in PURE
            if name not in found
        ]
    )


def test_pure_modules_import_nothing_that_does_input_or_output() -> None:
    expect_none(
        [
            f"{module.at(node)}: {module.name} is pure and may not import {name}"
            for module in pure_modules()
            for node, name in imports_of(module)
            if not may_be_imported_by_a_pure_module(name)
        ]
    )


def may_be_imported_by_a_pure_module(name: str) -> bool:
    if is_ours(name):
        return any(is_within(name, package) for package in PURE)
    return name.split(".")[0] in PURE_LIBRARIES


def test_pure_modules_call_nothing_that_does_input_or_output() -> None:
    expect_none(
        [
            f"{module.at(call)}: {module.name} is pure and may not call {name}()"
            for module in pure_modules()
            for call, name in calls_in(module)
            if name in INPUT_AND_OUTPUT | DYNAMIC_IMPORTS and isinstance(call.func, ast.Name)
        ]
    )


# How modules are built.


def test_every_module_says_what_it_is_for() -> None:
    expect_none(
        [
            f"{module.at(module.tree)}: no docstring"
            for room in (*PRODUCT_AND_TOOLS, "tests")
            for module in modules_of(room)
            if module.tree.body and not ast.get_docstring(module.tree)
        ]
    )


def test_every_module_names_what_it_offers() -> None:
    expect_none(
        [
            finding
            for module in product()
            if not module.is_package and module.path.name != "__main__.py"
            for finding in wrong_names(module)
        ]
    )


def wrong_names(module: Module) -> list[str]:
    listed = names_listed(module.tree)
    if listed is None:
        return [f"{module.at(module.tree)}: no __all__"]
    defined = names_defined(module.tree)
    offered = {
        node.name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    where = module.at(module.tree)
    missing = [f"{where}: __all__ names {name}, which is not there" for name in listed - defined]
    unlisted = [f"{where}: {name} is public but not in __all__" for name in offered - listed]
    return sorted(missing + unlisted)


def names_listed(tree: ast.Module) -> set[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(is_named(each, "__all__") for each in node.targets):
            return set(ast.literal_eval(node.value))
    return None


def is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def names_defined(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        else:
            stored = (each for each in ast.walk(node) if isinstance(each, ast.Name))
            names |= {each.id for each in stored if isinstance(each.ctx, ast.Store)}
    return names


def functions() -> list[tuple[str, int]]:
    """Every function of the product: where and how many lines, docstring included."""
    return [
        (f"{module.at(node)}: {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_function_is_longer_than_a_screen() -> None:
    expect_none(
        [
            f"{where} has {lines} lines, {LONGEST_FUNCTION} at most"
            for where, lines in functions()
            if lines > LONGEST_FUNCTION
        ]
    )


def test_nine_functions_of_ten_are_short() -> None:
    sizes = functions()
    long = sorted((size for size in sizes if size[1] >= SHORT_FUNCTION), key=lambda size: -size[1])
    listing = "\n".join(f"{where} has {lines} lines" for where, lines in long)
    assert len(long) <= (1 - SHORT_SHARE) * len(sizes), (
        f"\n{len(long)} of {len(sizes)} functions have {SHORT_FUNCTION} lines or more:\n{listing}"
    )


def test_no_module_is_too_long_to_read() -> None:
    sizes = {module: len(module.path.read_text().splitlines()) for module in product()}
    expect_none(
        [
            f"{module.at(module.tree)}: {lines} lines, {LONGEST_MODULE} at most"
            for module, lines in sizes.items()
            if lines >= LONGEST_MODULE
        ]
    )


def test_nothing_of_the_product_depends_on_assertions_being_checked() -> None:
    expect_none(
        [
            f"{module.at(node)}: python -O drops this assert; raise instead"
            for module in product()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Assert)
        ]
    )


def test_the_window_has_no_threads_that_could_collect_what_belongs_to_qts_main_thread() -> None:
    """See `tests/garbage.py`."""
    modules = modules_of("gui")
    imported = [(module, node, name) for module in modules for node, name in imports_of(module)]
    named = [
        (module, node, name)
        for module in modules
        for node in ast.walk(module.tree)
        for name in names_in(node)
        if name in THREADS_OF_QT
    ]
    threads = [each for each in imported if each[2].split(".")[0] in THREADS]
    expect_none([f"{module.at(node)}: {name} in the window" for module, node, name in threads])
    expect_none([f"{module.at(node)}: {name} in the window" for module, node, name in named])


def names_in(node: ast.AST) -> list[str]:
    match node:
        case ast.ImportFrom():
            return [alias.name for alias in node.names]
        case ast.Attribute():
            return [node.attr]
    return []


def test_every_task_has_a_name_and_an_owner() -> None:
    findings = []
    for module in product():
        for call, name in calls_in(module):
            if name == "ensure_future":
                findings.append(f"{module.at(call)}: use create_task, which takes a name")
            elif name == "create_task" and not any(each.arg == "name" for each in call.keywords):
                findings.append(f"{module.at(call)}: a task without a name")
        findings += [
            f"{module.at(node)}: nobody keeps this task, so it may vanish or fail unseen"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Expr) and starts_orphan(node.value)
        ]
    expect_none(findings)


def starts_orphan(node: ast.expr) -> bool:
    """True for a bare create_task() of asyncio or of a loop; a TaskGroup owns its tasks."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    owner = ast.unparse(node.func.value)
    return node.func.attr == "create_task" and (owner == "asyncio" or "loop" in owner)


def test_no_test_that_fails_waits_for_a_program_that_does_not_end() -> None:
    """As Popen's own context does: the limit of time, too, only lets it begin to wait."""
    expect_none(
        [
            f"{module.at(item.context_expr)}: use `tests.ended`"
            for module in modules_of("tests")
            for node in ast.walk(module.tree)
            if isinstance(node, ast.With)
            for item in node.items
            if isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).endswith("Popen")
        ]
    )


def test_nothing_waits_by_a_clock_that_somebody_may_set() -> None:
    """People and doctors are shown the time; all that waits goes by one that cannot jump."""
    expect_none(
        [
            f"{module.at(node)}: {module.name} may not ask for the time of day"
            for room in ("desktop", "link", "vmagent")
            for module in modules_of(room)
            if module.name not in MAY_SHOW_THE_TIME
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node) in TIMES_OF_DAY
        ]
    )


@pytest.mark.parametrize("room", STANDARD_LIBRARY_ONLY)
def test_what_runs_in_the_machine_is_written_in_the_oldest_python_there(room: str) -> None:
    for module in modules_of(room):
        try:
            ast.parse(module.path.read_bytes(), feature_version=OLDEST_PYTHON_IN_THE_MACHINE)
        except SyntaxError as error:
            pytest.fail(f"{module.path.relative_to(PROJECT)}:{error.lineno}: {error.msg}")
