"""The version stands in one place, and everything that tells one has it from there."""

from __future__ import annotations

import ast
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from link.version import VERSION
from scripts.dist.source import copy_source, tracked_files
from tests.packaging.stage import NO_HOME, PROJECT, environment_of, said

PLACE = "link/version.py"
OTHER = "97.8.65"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source with another version, written where it stands."""
    folder = tmp_path_factory.mktemp("other") / "source"
    copy_source(folder)
    text = (folder / PLACE).read_text()
    assert text.count(VERSION) == 1
    (folder / PLACE).write_text(text.replace(VERSION, OTHER))
    return folder


def texts_of(path: Path) -> list[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(path.read_bytes())
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]


def test_no_other_file_of_what_is_shipped_or_builds_it_says_it() -> None:
    rooms = ("desktop", "gui", "link", "vmagent", "scripts", "packaging")
    programs = [
        name
        for name in tracked_files()
        if name.split("/")[0] in rooms
        and name.endswith(".py")
        and any(VERSION in text for text in texts_of(PROJECT / name))
    ]
    others = [
        name
        for name in tracked_files()
        if (name.split("/")[0] == "packaging" or name in ("pyproject.toml", "Makefile"))
        and not name.endswith(".py")
        and f'"{VERSION}"' in (PROJECT / name).read_text()
    ]
    assert programs == [PLACE]
    assert others == []


def test_what_is_installed_here_has_it() -> None:
    assert metadata.version("samehost") == VERSION


@pytest.mark.parametrize("words", [("--version",), ("version",), ("version", "--json")])
def test_the_command_tells_the_one_that_stands_there(words: tuple[str, ...], other: Path) -> None:
    out, _ = said(
        [sys.executable, "-m", "desktop.cli.main", *words], other, environment_of(NO_HOME)
    )
    assert OTHER in out
    assert VERSION not in out


def test_status_daemon_and_agent_tell_it(other: Path, tmp_path: Path) -> None:
    environment = environment_of(NO_HOME)
    command: list[str | Path] = [sys.executable, "-m", "desktop.cli.main"]
    out, _ = said([*command, "status", "--json"], other, environment, 3)
    assert f'"version": "{OTHER}"' in out
    program = "from desktop.machines.agent_bundle import build_agent; from pathlib import Path;"
    program += f"build_agent(Path({str(tmp_path / 'agent.pyz')!r}))"
    said([sys.executable, "-c", program], other, environment)
    with zipfile.ZipFile(tmp_path / "agent.pyz") as agent:
        assert f'"{OTHER}"' in agent.read(PLACE).decode()


def test_the_window_tells_it_on_its_page_about(other: Path) -> None:
    program = "import gui.about, desktop.api.local as l; print(gui.about.VERSION is l.VERSION,"
    program += "gui.about.VERSION)"
    out, _ = said(
        [sys.executable, "-c", program],
        other,
        environment_of(NO_HOME, QT_QPA_PLATFORM="offscreen"),
    )
    assert out.strip() == f"True {OTHER}"


def test_wheel_and_sdist_are_named_by_it(other: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path]
    said(command, other, environment_of(NO_HOME))
    assert {path.name for path in tmp_path.iterdir()} == {
        f"samehost-{OTHER}-py3-none-any.whl",
        f"samehost-{OTHER}.tar.gz",
    }
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert (
            f"\nVersion: {OTHER}\n" in archive.read(f"samehost-{OTHER}.dist-info/METADATA").decode()
        )
