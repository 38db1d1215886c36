"""What runs in the machine runs on Python 3.9."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
for room in ("link", "vmagent"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""


def find_python39() -> str:
    """An interpreter that says it is 3.9; skips the test if there is none."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python"))
    for candidate in (shutil.which("python3.9"), *map(str, installed)):
        if candidate is not None:
            told = subprocess.run([candidate, "--version"], capture_output=True, text=True)
            if told.stdout.startswith("Python 3.9"):
                return candidate
    pytest.skip("no Python 3.9 here: looked for python3.9 on the path and in ~/.pyenv")


def test_every_module_of_link_and_agent_imports_on_python_39() -> None:
    command = [find_python39(), "-I", "-B", "-W", "error", "-c", IMPORT_ALL, str(PROJECT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "vmagent.watch.watcher" in done.stdout.splitlines()
