"""What git tracks is source: it goes into packages and stays in the history for ever."""

from __future__ import annotations

from pathlib import Path

from scripts.dist.source import ROOT, tracked_files

NOT_TEXT = {".png", ".qm"}
"""Pictures of the documents, and what Qt's lrelease makes of translations."""


def test_nothing_is_tracked_that_nobody_can_read_but_pictures_and_translations() -> None:
    """No package or program that somebody once downloaded into the checkout, above all."""
    found = [
        name
        for name in tracked_files()
        if Path(name).suffix not in NOT_TEXT and b"\0" in (ROOT / name).read_bytes()
    ]
    assert found == []
