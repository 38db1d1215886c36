"""The daemon's log, when somebody moves or removes it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.daemon.main import _log_to, _PrivateLog
from desktop.paths import Paths
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


def test_what_a_stranger_said_steers_no_terminal_and_ends_no_other_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    paths = Paths.under(tmp_path)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        _log_to(paths)
        logging.getLogger(__name__).warning("%s", "\x1b[2Jboo\x07\rover")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = before
        root.setLevel(level)
    assert paths.log_file.read_text().endswith(":  [2Jboo  over\n")
    assert capsys.readouterr().err == " [2Jboo  over\n"


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
