"""What `tests/left_threads.py` says: a run ends, whatever its tests have left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PATIENCE = 60.0
LEAVES_ONE = """
import threading
from tests import left_threads
left_threads.PATIENCE_SECONDS = 0.2
def test_one():
    threading.Thread(target=threading.Event().wait, name="who waits for ever").start()
    assert {}
"""


@pytest.mark.parametrize(("passes", "code"), [(True, 0), (False, 1)])
def test_a_thread_that_does_not_end_keeps_no_run_from_ending(
    tmp_path: Path, passes: bool, code: int
) -> None:
    (tmp_path / "test_it.py").write_text(LEAVES_ONE.format(passes))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "tests.conftest", tmp_path],
        cwd=PROJECT,
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert f"1 {'passed' if passes else 'failed'}" in done.stdout
    assert "the threads who waits for ever" in done.stderr
