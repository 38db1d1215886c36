"""A booted sandbox for all tests of a run, with the demonstration's image loaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from desktop.machines.sandbox import Sandbox
from desktop.paths import Paths
from scripts import demo_image

__all__ = ["SandboxHome", "booted_sandbox", "load_demo_image", "quiet", "require_root"]


@dataclass(frozen=True)
class SandboxHome:
    """A sandbox that runs, and the folder (SAMEHOST_HOME) it lives in."""

    home: Path
    paths: Paths
    sandbox: Sandbox

    @property
    def image(self) -> str:
        """The image with nc, socat and busybox."""
        return demo_image.IMAGE

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The docker command line on this sandbox; its words are in the error if it fails."""
        return docker(self.sandbox, *arguments, check=check)


def docker(
    sandbox: Sandbox, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """See `SandboxHome.docker`."""
    result = subprocess.run(
        ["docker", "--host", sandbox.docker_host(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if check and result.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {result.stdout}{result.stderr}")
    return result


def load_demo_image(sandbox: Sandbox) -> None:
    """Put the demonstration's image into a sandbox."""
    docker(sandbox, *demo_image.import_arguments(demo_image.build()))


def quiet(_line: str) -> None:
    """Progress that nobody reads."""


def require_root() -> None:
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("a sandbox needs root")


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A SAMEHOST_HOME with a path short enough for sockets; removed afterwards."""
    require_root()
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    yield home
    shutil.rmtree(home)


@contextlib.contextmanager
def booted_sandbox() -> Iterator[SandboxHome]:
    """A sandbox, booted now, with the image loaded; removed afterwards."""
    require_root()
    home = Path(tempfile.mkdtemp(prefix="samehost-"))
    paths = Paths.under(home)
    sandbox = Sandbox("sandbox", paths)
    try:
        asyncio.run(sandbox.start(quiet))
        load_demo_image(sandbox)
        yield SandboxHome(home, paths, sandbox)
    finally:
        asyncio.run(sandbox.stop(quiet))
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def sandbox_home() -> Iterator[SandboxHome]:
    """One sandbox, booted once for the run; tests remove the containers they start."""
    with booted_sandbox() as booted:
        yield booted
