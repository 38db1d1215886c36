"""The source that packages are built from, as a folder of its own.

    tracked files of the checkout ─▶ build/dist/source ─▶ + share/ (man page, completions)

Rules: only what git tracks is in it, as it is now, so that nothing that lies about in a checkout
comes into a package; modes are 0644 or 0755 whatever the umask was. The time of everything is that
of the last commit, or SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch). Limits:
outside a git checkout there is nothing to build from.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError

__all__ = ["BUILD", "DIST", "ROOT", "copy_source", "put", "run", "source_time", "tracked_files"]

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "dist"
"""Where things lie while they are built."""
DIST: Final = ROOT / "dist"
"""What is ready."""

SECONDS: Final = 600.0
TAIL: Final = 15
EXECUTABLE: Final = 0o755
READABLE: Final = 0o644


def run(
    command: list[str | Path],
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
    what: str = "",
) -> str:
    """What a program prints. Raises SamehostError with the end of what it said.

    `what` is said to have failed then: the program, unless that is only a way to another one.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-TAIL:]
        failed = f"{what or Path(command[0]).name} has failed (exit code {done.returncode})"
        raise SamehostError(failed, "\n".join(said) or "it said nothing")
    return done.stdout


def source_time(root: Path = ROOT) -> int:
    """The time that everything built has, in seconds since 1970."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    return int(told or run(["git", "log", "-1", "--format=%ct"], root))


def tracked_files(root: Path = ROOT) -> list[str]:
    """The files of the checkout that git knows, by their paths in it, sorted."""
    names = run(["git", "ls-files", "-z"], root).split("\0")
    return sorted(name for name in names if name and (root / name).is_file())


def copy_source(target: Path, root: Path = ROOT) -> None:
    """Make `target` a copy of what is tracked, in place of what was there."""
    shutil.rmtree(target, ignore_errors=True)
    for name in tracked_files(root):
        file = root / name
        is_program = bool(file.stat().st_mode & 0o100)
        put(target / name, file.read_bytes(), EXECUTABLE if is_program else READABLE)


def put(path: Path, data: bytes | str, mode: int = READABLE) -> None:
    """Write a file and the folders that it needs, with modes that no umask changes."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        folder.chmod(EXECUTABLE)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
