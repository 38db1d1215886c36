"""What a daemon says to whoever started it, and what it does when nobody is left to hear it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.daemon.main import ReadyLine, StarterGoneError
from desktop.errors import ConflictError
from desktop.paths import HOME_VARIABLE, Paths
from tests.ended import ended

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0

CHATTY = """
from desktop.daemon.main import ReadyLine
line = ReadyLine(1)
print("printed besides", flush=True)
line.ready()
print("and later", flush=True)
"""


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    with tempfile.TemporaryDirectory(prefix="sh-") as home:
        monkeypatch.setenv(HOME_VARIABLE, home)
        yield Paths.find()


def test_one_line_says_that_it_is_ready_or_why_it_is_not() -> None:
    for is_ready in (True, False):
        reader, writer = os.pipe()
        with open(reader, "rb") as pipe:
            line = ReadyLine(writer)
            if is_ready:
                line.ready()
            else:
                line.failed(ConflictError("it is taken", "give it back"))
            said = json.loads(pipe.read())
        error = {"code": "CONFLICT", "message": "it is taken", "remedy": "give it back"}
        assert said == ({"ready": True} if is_ready else {"error": error})


def test_what_is_printed_besides_goes_where_errors_go() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHATTY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout == '{"ready": true}\n'
    assert done.stderr.splitlines() == ["printed besides", "and later"]


def test_nobody_to_hear_it_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(StarterGoneError):
        ReadyLine(writer).ready()


def test_a_daemon_whose_starter_has_gone_ends_by_itself_and_leaves_nothing(paths: Paths) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-P", "-m", "desktop.daemon", "--ready-fd", "1"]
    with ended(
        subprocess.Popen(command, cwd=ROOT, stdout=writer, stderr=subprocess.DEVNULL)
    ) as process:
        os.close(writer)
        assert process.wait(PATIENCE) == 0
    assert "whoever started the daemon has gone: shutting down" in paths.log_file.read_text()
    assert os.listdir(paths.config) == ["logs"]
