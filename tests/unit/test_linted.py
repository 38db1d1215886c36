"""`make check` reads every Python file: a linter's own list of what to leave out is a trap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
ROOMS: Final = ("desktop", "gui", "link", "packaging", "scripts", "tests", "vmagent")


def test_the_linter_leaves_out_no_file_of_any_room() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--show-files"]
    shown = subprocess.check_output(command, cwd=PROJECT, text=True).splitlines()
    files = {str(path) for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    assert sorted(files - set(shown)) == []
