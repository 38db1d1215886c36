"""An environment for several Pythons, as the packages for Debian have it."""

from __future__ import annotations

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from desktop.errors import SamehostError
from scripts.dist import bundle, qt
from scripts.dist.bundle import SITE, lay_environment, lay_packages, lay_wheel
from tests.packaging.stage import tool


def a_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
    return wheel


def test_python_takes_it_for_an_environment_and_finds_what_is_in_it(tmp_path: Path) -> None:
    lay_environment(tmp_path)
    program = tmp_path / "bin/python"
    program.unlink()
    program.symlink_to(Path(sys.base_prefix) / "bin/python3")
    (tmp_path / SITE / "found_here.py").write_text("WORDS = 'found'\n")
    code = "import sys, found_here; print(found_here.WORDS, sys.prefix)"
    out = subprocess.check_output([program, "-I", "-c", code], text=True)
    assert out.split() == ["found", str(tmp_path)]


def test_each_python_has_the_same_packages(tmp_path: Path) -> None:
    lay_environment(tmp_path)
    (tmp_path / SITE / "one.py").touch()
    for version in bundle.PYTHONS:
        assert (tmp_path / f"lib/python{version}/site-packages/one.py").is_file()


def test_of_a_wheel_comes_what_is_a_program_and_no_notes_of_installers(tmp_path: Path) -> None:
    lay_environment(tmp_path)
    files = {
        "one/__init__.py": b"",
        "one/start.sh": b"#!/bin/sh\n",
        "one-1.0.data/data/share/x": b"",
        "one-1.0.dist-info/METADATA": b"Name: one\n",
        "one-1.0.dist-info/RECORD": b"",
        "one-1.0.dist-info/licenses/LICENSE": b"",
    }
    lay_wheel(tmp_path, a_wheel(tmp_path, "one", files))
    laid = {path for path in (tmp_path / SITE).rglob("*") if path.is_file()}
    assert {str(path.relative_to(tmp_path / SITE)) for path in laid} == {
        "one/__init__.py",
        "one/start.sh",
        "one-1.0.dist-info/METADATA",
        "one-1.0.dist-info/licenses/LICENSE",
    }
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in laid}
    assert (modes["start.sh"], modes["__init__.py"]) == (0o755, 0o644)


def test_what_has_no_hash_or_is_not_there_is_an_error(tmp_path: Path) -> None:
    tool("uv")
    lock = tmp_path / "some.lock"
    lock.write_text("nothing-of-ours==1.0\n")
    with pytest.raises(SamehostError, match="uv has failed"):
        lay_packages(tmp_path, lock, tmp_path, pythons=("3.11",))


def test_what_is_not_compiled_must_be_the_same_for_all_pythons(tmp_path: Path) -> None:
    first, target = tmp_path / "first.py", tmp_path / "there" / "first.py"
    first.write_text("ONE = 1\n")
    bundle._lay(first, target)
    bundle._lay(first, target)
    first.write_text("ONE = 2\n")
    with pytest.raises(SamehostError, match="not the same for all"):
        bundle._lay(first, target)


@pytest.mark.parametrize(
    ("name", "patterns", "belongs"),
    [
        ("one/__init__.py", bundle.EVERYTHING, True),
        ("one/two/three/four.py", bundle.EVERYTHING, True),
        ("PySide6/__init__.py", qt.FILES, True),
        ("PySide6/QtCore.abi3.so", qt.FILES, True),
        ("PySide6/QtQuick.abi3.so", qt.FILES, False),
        ("PySide6/scripts/recipes/PySide6/__init__.tmpl.py", qt.FILES, False),
        ("one/__pycache__/two.pyc", bundle.EVERYTHING, False),
        ("one/tests/test_two.py", bundle.EVERYTHING, False),
        ("one-1.0.dist-info/RECORD", bundle.EVERYTHING, False),
        ("one-1.0.dist-info/METADATA", bundle.EVERYTHING, True),
    ],
)
def test_patterns_mean_whole_paths(name: str, patterns: tuple[str, ...], belongs: bool) -> None:
    assert bundle._belongs(Path(name), patterns) is belongs


def test_of_qt_comes_what_the_window_imports_and_no_more(tmp_path: Path) -> None:
    imported = subprocess.check_output(
        ["grep", "-rhoE", "--include=*.py", r"PySide6\.Qt[A-Za-z]+", "gui"], text=True
    )
    assert {f"PySide6.Qt{name}" for name in qt.MODULES} == set(imported.split())
    unused = tmp_path / SITE / qt.UNUSED[0]
    unused.parent.mkdir(parents=True)
    unused.touch()
    qt.leave_out(tmp_path)
    assert not unused.exists()
