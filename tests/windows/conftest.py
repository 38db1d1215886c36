"""Tests that need Windows itself, or Wine: nothing in them stands for anything.

Elsewhere none of them is collected. What the same parts do with stand-ins is tested in `unit` and
`contract`. How they were last run is in docs/platforms.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from desktop.paths import HOME_VARIABLE, Paths

collect_ignore_glob = [] if os.name == "nt" else ["test_*.py"]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Folders of a Samehost of its own."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Paths.find()
