"""Samehost with all Python packages that it needs, for several versions of Python at once.

    lib/python3/site-packages  ◀─ lib/python3.11, lib/python3.12, lib/python3.13
    bin/python ─▶ /usr/bin/python3, and pyvenv.cfg: to Python it is a virtual environment

Rules: packages come from the lock by their hashes, as wheels only. What is compiled for one version
of Python has that version in its name (PEP 3149), so that all can lie in one folder; what is not
compiled must be the same for all. Symbols for debuggers are stripped. What an installer notes of
itself, and tests, do not come along.
Limits: for Linux with the architecture of the computer that builds.
"""

from __future__ import annotations

import os
import platform
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from desktop.errors import SamehostError
from scripts.dist.source import ROOT, put, run

__all__ = ["PYTHONS", "lay_environment", "lay_packages", "lay_wheel"]

PYTHONS: Final = ("3.11", "3.12", "3.13")
"""Of Debian 12 and 13 and what lies between."""

PLATFORM: Final = f"{platform.machine()}-manylinux_2_34"
"""Debian 12 has glibc 2.36."""

UV: Final = ROOT / "build/tools/bin/uv"
SITE: Final = "lib/python3/site-packages"
CONFIGURATION: Final = "home = /usr/bin\ninclude-system-site-packages = false\n"
NOTES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
EVERYTHING: Final = tuple("/".join("*" * depth) for depth in range(1, 12))
"""Patterns of whole paths, as deep as any package goes."""
LEFT_OUT: Final = frozenset({"__pycache__", "bin", "tests", "include", ".lock"})


def lay_environment(folder: Path) -> None:
    """What makes Python take the folder for a virtual environment, and its site-packages."""
    (folder / SITE).mkdir(parents=True, exist_ok=True)
    put(folder / "pyvenv.cfg", CONFIGURATION)
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/python").symlink_to("../../../bin/python3")
    for version in PYTHONS:
        (folder / f"lib/python{version}").symlink_to("python3")


def lay_packages(
    folder: Path,
    lock: Path,
    work: Path,
    only: Iterable[str] = EVERYTHING,
    pythons: Iterable[str] = PYTHONS,
) -> None:
    """Put packages of a lock into an environment: those files that match `only`.

    Raises SamehostError if they cannot be had, or differ where they may not.
    """
    for version in pythons:
        fetched = work / f"{lock.stem}-{version}"
        shutil.rmtree(fetched, ignore_errors=True)
        python = ["--python-version", version, "--python-platform", PLATFORM]
        strict = ["--only-binary", ":all:", "--require-hashes"]
        options = ["--quiet", "--link-mode=copy", *python, *strict]
        run([UV, "pip", "install", *options, "--target", fetched, "--requirement", lock])
        compiled = [file for file in fetched.rglob("*.so*") if file.is_file()]
        run(["strip", "--strip-unneeded", *compiled])
        for file in sorted(fetched.rglob("*")):
            name = file.relative_to(fetched)
            if _belongs(name, only) and file.is_file():
                _lay(file, folder / SITE / name)


def lay_wheel(folder: Path, wheel: Path) -> None:
    """Put a wheel's modules into an environment."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.name not in NOTES and not path.parts[0].endswith(".data"):
                data = archive.read(name)
                put(folder / SITE / name, data, 0o755 if data.startswith(b"#!") else 0o644)


def _belongs(name: Path, only: Iterable[str]) -> bool:
    is_note = name.name in NOTES and name.parent.name.endswith(".dist-info")
    return (
        not is_note
        and LEFT_OUT.isdisjoint(name.parts)
        and any(PurePosixPath("/", name).match(f"/{pattern}") for pattern in only)
    )


def _lay(file: Path, target: Path) -> None:
    data = file.read_bytes()
    if target.exists() and target.read_bytes() != data:
        if target.name == "WHEEL":  # names the version that the compiled part is for
            return
        raise SamehostError(
            f"{file.name} is not the same for all versions of Python",
            f"compare {file} and {target}",
        )
    is_program = data.startswith(b"#!") and os.access(file, os.X_OK)
    put(target, data, 0o755 if is_program else 0o644)
