"""The daemon's log, when somebody moves or removes it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.daemon.main import _PrivateLog
from tests.capabilities import POSIX_FILES, needs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[logging.Logger, Path]]:
    """A logger, and the file into which it writes."""
    file = tmp_path / "logs" / "samehost.log"
    file.parent.mkdir()
    handler = _PrivateLog(file, maxBytes=1 << 20, backupCount=1)
    logger = logging.getLogger(__name__)
    logger.addHandler(handler)
    yield logger, file
    logger.removeHandler(handler)
    handler.close()


@needs(POSIX_FILES)
def test_a_log_that_was_moved_away_is_begun_anew(log: tuple[logging.Logger, Path]) -> None:
    logger, file = log
    logger.warning("before")
    moved = file.rename(file.with_suffix(".old"))
    logger.warning("after")
    logger.warning("and on")
    assert moved.read_text() == "before\n"
    assert file.read_text() == "after\nand on\n"
    assert file.stat().st_mode & 0o077 == 0


@needs(POSIX_FILES)
def test_a_log_whose_folder_was_removed_is_begun_anew(log: tuple[logging.Logger, Path]) -> None:
    logger, file = log
    logger.warning("before")
    shutil.rmtree(file.parent)
    logger.warning("after")
    assert file.read_text() == "after\n"


@needs(POSIX_FILES)
def test_a_log_that_cannot_be_begun_anew_hinders_nobody(log: tuple[logging.Logger, Path]) -> None:
    logger, file = log
    shutil.rmtree(file.parent)
    file.parent.write_text("in its place")
    logger.warning("into nothing")
    file.parent.unlink()
    logger.warning("after")
    assert file.read_text() == "after\n"
