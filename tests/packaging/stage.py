"""An environment that has what people install, and nothing of this checkout.

Rules: programs in it run outside the checkout with a SAMEHOST_HOME of their own, and without the
variables by which Python would find other code. Dependencies are those of the locks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

__all__ = ["NO_HOME", "PROJECT", "Installed", "environment_of", "install", "said", "tool"]

PROJECT: Final = Path(__file__).parents[2]
TOOLS: Final = PROJECT / "build/tools/bin"
SECONDS: Final = 120.0
NO_HOME: Final = Path("/nonexistent")
"""For programs that write nothing; it is never made."""


def tool(name: str) -> str:
    """A program that builds or checks packages; the test is skipped if it is not there."""
    found = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not here: scripts/setup dist")
    return found


def environment_of(home: Path, **more: str) -> dict[str, str]:
    """Variables for a program that is to know nothing of this checkout."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "UV_", "PYENV"))
    }
    return {**kept, "SAMEHOST_HOME": str(home), "NO_COLOR": "1", **more}


def said(
    command: list[str | Path], cwd: Path, environment: dict[str, str], code: int = 0
) -> tuple[str, str]:
    """What a program prints on standard output and on standard error; its exit code is `code`."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


@dataclass(frozen=True)
class Installed:
    """An environment with Samehost in it. `folder` is where its programs run."""

    bin: Path
    folder: Path

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What `samehost ARGUMENT…` says."""
        return said([self.bin / "samehost", *arguments], self.folder, self.environment, code)

    def python(self, program: str) -> str:
        """What a program in Python prints."""
        command: list[str | Path] = [self.bin / "python", "-P", "-c", program]
        return said(command, self.folder, self.environment)[0].strip()

    @property
    def environment(self) -> dict[str, str]:
        """What its programs know."""
        return environment_of(self.folder / "h", QT_QPA_PLATFORM="offscreen")


def install(folder: Path, wheel: Path, lock: str) -> Installed:
    """Put a wheel, and what a lock has, into an environment that was empty."""
    bare = environment_of(NO_HOME)
    uv, place = tool("uv"), folder / "environment"
    said([uv, "venv", "--quiet", "--python", sys.executable, place], folder, bare)
    into: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", place / "bin/python"]
    said([*into, "--require-hashes", "--requirement", PROJECT / lock], folder, bare)
    said([*into, "--no-deps", wheel], folder, bare)
    said([uv, "pip", "check", "--quiet", "--python", place / "bin/python"], folder, bare)
    return Installed(place / "bin", folder)
