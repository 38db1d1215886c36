"""Built once for all tests here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.dist.shared import shared_files
from scripts.dist.wheel import build_wheel


class Built(NamedTuple):
    """What `make dist` makes of Python's kinds of packages."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Wheel and sdist of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    return Built(*build_wheel(folder / "dist", shared_files(), folder / "work"))
