"""Wheel and sdist, made by hatchling of a clean copy of the source.

Rules: the wheel is made of the sdist's own content, so that whoever builds from the sdist gets the
same wheel. Both have the man page and the completions below share/, which pip and pipx lay into
the environment. The same source gives the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from scripts.dist.source import BUILD, copy_source, put, run, source_time

__all__ = ["build_wheel"]

TIME_VARIABLE: Final = "SOURCE_DATE_EPOCH"
PATTERNS: Final = {"wheel": "samehost-*.whl", "sdist": "samehost-*.tar.gz"}


def build_wheel(target: Path, shared: dict[str, str], work: Path = BUILD) -> list[Path]:
    """Write wheel and sdist into `target`; both paths. `shared`: files below share/, by path.

    Raises SamehostError.
    """
    target.mkdir(parents=True, exist_ok=True)
    target, work = target.resolve(), work.resolve()
    source, unpacked = work / "source", work / "sdist"
    copy_source(source)
    for name, text in shared.items():
        put(source / "share" / name, text)
    time = {TIME_VARIABLE: str(source_time())}
    sdist = _build("sdist", source, target, time)
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True, exist_ok=True)
    run(["tar", "-x", "-f", sdist, "-C", unpacked])  # Debian 12's tarfile has no filters yet
    name = sdist.name.removesuffix(".tar.gz")
    return [_build("wheel", unpacked / name, target, time), sdist]


def _build(kind: str, source: Path, target: Path, environment: dict[str, str]) -> Path:
    pattern = PATTERNS[kind]
    for old in target.glob(pattern):
        old.unlink()
    build: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "--target", kind]
    run([*build, "--directory", target], source, environment)
    (made,) = target.glob(pattern)
    return made
