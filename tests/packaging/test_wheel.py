"""Wheel and sdist: what is in them, and that they work where there is nothing else of Samehost."""

from __future__ import annotations

import ast
import re
import subprocess
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from desktop.machines.agent_bundle import SIZE_LIMIT
from link.version import VERSION
from scripts.dist.shared import shared_files
from scripts.dist.source import tracked_files
from scripts.dist.wheel import build_wheel
from tests.packaging.conftest import Built
from tests.packaging.stage import NO_HOME, PROJECT, Installed, environment_of, install, said, tool

ROOMS = ("desktop", "gui", "link", "vmagent")
NOT_SHIPPED = ("*.ts", "*.bpf.c", "program.h", "ruff.toml")


@pytest.fixture(scope="module")
def command(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The command and the daemon, without the window."""
    return install(tmp_path_factory.mktemp("command"), built.wheel, "requirements.lock")


@pytest.fixture(scope="module")
def with_window(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The extra `gui` as well."""
    return install(tmp_path_factory.mktemp("window"), built.wheel, "requirements-gui.lock")


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


# What is in them.


def test_the_wheel_has_all_of_the_product_and_nothing_else(built: Built) -> None:
    info, data = f"samehost-{VERSION}.dist-info", f"samehost-{VERSION}.data/data/share"
    product = {
        name
        for name in tracked_files()
        if name.split("/")[0] in ROOMS and not any(Path(name).match(each) for each in NOT_SHIPPED)
    }
    metadata = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert names_in(built.wheel) == (
        product
        | {f"{info}/{name}" for name in metadata}
        | {f"{data}/{name}" for name in shared_files()}
    )


def test_the_wheel_has_what_is_no_program_too(built: Built) -> None:
    names = names_in(built.wheel)
    needed = {f"{room}/py.typed" for room in ROOMS}
    needed |= {f"gui/text/samehost_{language}.qm" for language in ("de", "en")}
    needed |= {"vmagent/bpf/bytecode.py", "desktop/machines/sandbox/boot.sh"}
    assert needed <= names
    with zipfile.ZipFile(built.wheel) as archive:
        tree = ast.parse(archive.read("vmagent/bpf/bytecode.py"))
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    longest = max(len(value) for value in constants if isinstance(value, str | bytes))
    assert longest > 1000, "the bytecode is there, not only its names"


def test_the_sdist_has_what_the_wheel_is_made_of_and_no_tests(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
        members = archive.getmembers()
    rooms = {name for name in tracked_files() if name.split("/")[0] in ROOMS}
    others = {"CHANGELOG.md", "LICENSE", "README.md", "PKG-INFO", "pyproject.toml", ".gitignore"}
    assert names == rooms | others | {f"share/{name}" for name in shared_files()}
    assert {member.mode & 0o777 for member in members} <= {0o644, 0o755}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}


def test_the_metadata_say_what_it_is_and_what_it_needs(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        text = archive.read(f"samehost-{VERSION}.dist-info/METADATA").decode()
    metadata = Parser().parsestr(text)
    assert (metadata["Name"], metadata["Version"]) == ("samehost", VERSION)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Provides-Extra") == ["gui"]
    needs = [text for text in metadata.get_all("Requires-Dist") or [] if "extra" not in text]
    names = sorted(re.split(r"[<>=;]", text)[0] for text in needs)
    assert names == [
        *("asyncio-dgram", "jeepney", "msgspec", "paramiko", "platformdirs", "psutil", "uvloop")
    ]
    assert [text for text in needs if "linux" in text] == [
        "jeepney<0.10,>=0.9; sys_platform == 'linux'"
    ]


def test_the_same_source_gives_the_same_wheel_and_sdist(built: Built, tmp_path: Path) -> None:
    again = build_wheel(tmp_path / "dist", shared_files(), tmp_path / "elsewhere")
    for one, other in zip(built, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_nothing_in_them_names_a_place_of_the_computer_that_built_them(built: Built) -> None:
    places = [str(PROJECT).encode(), str(built.wheel.parent.parent).encode()]
    with zipfile.ZipFile(built.wheel) as wheel, tarfile.open(built.sdist) as sdist:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
        for member in filter(tarfile.TarInfo.isfile, sdist):
            file = sdist.extractfile(member)
            contents[member.name] = file.read() if file else b""
    assert [name for name, data in contents.items() if any(place in data for place in places)] == []


# As it is when installed.


def test_the_installed_command_tells_its_version_and_its_help(command: Installed) -> None:
    assert command.run("--version")[0] == command.run("version")[0]
    assert f"samehost {VERSION} (" in command.run("--version")[0]
    assert "doctor" in command.run("--help")[0]


def test_without_a_daemon_the_installed_command_says_how_to_start_one(command: Installed) -> None:
    out, error = command.run("status", code=3)
    assert "Host networking" in out
    assert "the daemon does not run; start it: samehost up" in error


def test_the_installed_daemon_starts_and_ends(command: Installed) -> None:
    command.run("up", "--no-machine")
    try:
        assert f"version {VERSION}, up" in command.run("status", code=3)[0]
    finally:
        out, _ = command.run("down")
    assert out == "Samehost has stopped.\n"
    assert "was not running" in command.run("down")[0]


def test_the_agent_is_made_of_what_is_installed(command: Installed) -> None:
    program = (
        "from desktop.machines.agent_bundle import build_agent; from pathlib import Path;"
        "import link; print(build_agent(Path('agent.pyz')), link.__file__)"
    )
    size, place = command.python(program).split(" ", 1)
    assert place.startswith(str(command.bin.parent))
    assert 0 < int(size) <= SIZE_LIMIT
    with zipfile.ZipFile(command.folder / "agent.pyz") as agent:
        assert agent.testzip() is None
        assert f'"{VERSION}"' in agent.read("link/version.py").decode()


def test_without_the_extra_the_window_says_how_to_get_it(command: Installed) -> None:
    _, error = command.run("gui", code=1)
    assert "pip install 'samehost[gui]'" in error


def test_with_the_extra_the_window_can_be_made_in_each_language(with_window: Installed) -> None:
    program = (
        "from PySide6.QtCore import QTranslator; import gui.app, gui.icons, gui.language as l;"
        "print([t.load(str(p)) for p in sorted(l.FOLDER.glob('*.qm')) if (t := QTranslator())"
        " is not None], len(gui.icons.svg('samehost', *3 * ['#000'])) > 100)"
    )
    assert with_window.python(program) == "[True, True] True"


def test_the_man_page_lies_where_man_looks_beside_the_program(command: Installed) -> None:
    for name in shared_files():
        assert (command.bin.parent / "share" / name).is_file()


@pytest.mark.parametrize("installer", ["pipx", "uv"])
def test_it_can_be_installed_as_a_tool(installer: str, built: Built, tmp_path: Path) -> None:
    variables = environment_of(
        NO_HOME,
        PIPX_HOME=str(tmp_path / "pipx"),
        PIPX_BIN_DIR=str(tmp_path / "bin"),
        PIPX_MAN_DIR=str(tmp_path / "man"),
        UV_TOOL_DIR=str(tmp_path / "uv"),
        UV_TOOL_BIN_DIR=str(tmp_path / "bin"),
    )
    locked: list[str | Path] = ["--constraint", PROJECT / "requirements.lock"]
    ways: dict[str, list[str | Path]] = {
        "pipx": ["install", "--quiet", "--backend", "uv", built.wheel],
        "uv": ["tool", "install", "--quiet", *locked, built.wheel],
    }
    path = f"{Path(tool('uv')).parent}:{variables['PATH']}"
    said([tool(installer), *ways[installer]], tmp_path, {**variables, "PATH": path})
    out, _ = said([tmp_path / "bin/samehost", "--version"], tmp_path, variables)
    assert f"samehost {VERSION}" in out
    assert (tmp_path / "man/man1/samehost.1").is_file() is (installer == "pipx")
    uninstall = {"pipx": ["uninstall", "samehost"], "uv": ["tool", "uninstall", "samehost"]}
    said([tool(installer), *uninstall[installer]], tmp_path, {**variables, "PATH": path})
    assert not (tmp_path / "bin/samehost").exists()


def test_the_checkout_is_clean_of_what_building_leaves(built: Built) -> None:
    assert built.wheel.exists()
    done = subprocess.run(
        ["git", "status", "--porcelain", "--ignored=no", "share", "dist"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
