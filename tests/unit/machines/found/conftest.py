"""Fake tools in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_tools import FakeTools


@pytest.fixture
def fake(tmp_path: Path) -> FakeTools:
    """No tools yet."""
    return FakeTools(tmp_path)
