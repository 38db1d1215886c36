"""All tests run in lanes: none is left out, what fails is told, and an interruption clears up."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.__main__ import LANES, Lane, Part, run_lanes
from tests.ended import ended

PROJECT = Path(__file__).parents[2]
PATIENCE = 60.0
ELSEWHERE = ("-c", "/dev/null", "-p", "no:cacheprovider")
"""For a pytest that knows nothing of this project."""


def part(folder: Path, name: str, code: str) -> Part:
    """A part with one file of tests."""
    file = folder / f"test_{name}.py"
    file.write_text(code)
    return Part(name, (*ELSEWHERE, str(file)))


def test_each_folder_with_tests_is_in_one_part_of_one_lane() -> None:
    here = {
        "/".join(file.relative_to(PROJECT).parts[:2])
        for file in (PROJECT / "tests").rglob("test_*.py")
    }
    run = [each for lane in LANES for part in lane.parts for each in part.arguments]
    assert Counter(each for each in run if not each.startswith("-")) == Counter(here)
    assert [each for each in run if each.startswith("-")] == ["--ignore=tests/e2e/vm"]
    names = [part.name for lane in LANES for part in lane.parts]
    assert len(names) == len(set(names))


def test_all_parts_run_and_what_fails_is_told_in_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lanes = [
        Lane(
            (
                part(tmp_path, "broken", "def test(): assert 'a cause' == ''"),
                part(tmp_path, "after_it", "def test(): pass"),
            )
        ),
        Lane((part(tmp_path, "other", "import pytest\ndef test(): pytest.skip('a reason')"),)),
        Lane((part(tmp_path, "nothing", ""),)),
    ]
    assert asyncio.run(run_lanes(lanes, tmp_path)) == 1
    said = capsys.readouterr().out
    assert "broken: failed in " in said
    assert "assert 'a cause' == ''" in said
    assert "after_it: passed in " in said
    assert "1 passed in " in said
    assert "a reason" not in said  # without -ra there is no summary
    assert "1 skipped in " in said
    assert "nothing: passed in " in said


def test_lanes_run_beside_one_another(tmp_path: Path) -> None:
    """Each waits for the other."""
    waits = f"""
import time
from pathlib import Path
def test():
    Path({str(tmp_path)!r}, "{{}}").touch()
    end = time.monotonic() + {PATIENCE}
    while not Path({str(tmp_path)!r}, "{{}}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
"""
    lanes = [
        Lane((part(tmp_path, "one", waits.format("first", "second")),)),
        Lane((part(tmp_path, "two", waits.format("second", "first")),)),
    ]
    assert asyncio.run(run_lanes(lanes, tmp_path)) == 0


def test_a_summary_has_what_was_skipped_and_a_lane_its_surroundings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import os, pytest\ndef test(): pytest.skip(os.environ['WHERE'])"
    one = part(tmp_path, "skipped", code)
    lane = Lane((Part("skipped", ("-ra", *one.arguments)),), ("env", "WHERE=inside"))
    assert asyncio.run(run_lanes([lane], tmp_path)) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[2].startswith("SKIPPED")
    assert "inside" in said


def test_how_far_each_part_is_is_told_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lanes = [Lane((part(tmp_path, name, "def test(): pass"),)) for name in ("one", "two")]
    assert asyncio.run(run_lanes(lanes, tmp_path, progress_seconds=0.01)) == 0
    assert "one 0 %, two 0 %\n" in capsys.readouterr().out


INTERRUPTED = """
import asyncio, sys
from pathlib import Path
from tests.__main__ import Lane, Part, run_lanes
parts = [Part(str(number), tuple(sys.argv[2:])) for number in range(2)]
sys.exit(asyncio.run(run_lanes([Lane(tuple(parts))], Path(sys.argv[1]))))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_lets_tests_clear_up_and_begins_no_other(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(f"""
import pytest, threading
from pathlib import Path
@pytest.fixture
def cleared():
    yield
    Path({str(tmp_path)!r}, "cleared").touch()
def test(cleared):
    Path({str(tmp_path)!r}, "begun").touch()
    threading.Event().wait({PATIENCE})
""")
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path), *ELSEWHERE, str(file)]
    program = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    with ended(program) as process:
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (tmp_path / "cleared").exists()
    assert "0: failed in " in said
    assert "1: begun" not in said
