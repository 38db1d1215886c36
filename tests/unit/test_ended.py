"""What `tests/ended.py` says: a test that fails waits for no program."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.ended import ended

SLEEPS = ["sleep", "60"]


def test_a_program_is_killed_when_what_it_is_for_has_failed() -> None:
    program = subprocess.Popen(SLEEPS, stdout=subprocess.PIPE)
    with pytest.raises(ZeroDivisionError), ended(program):
        raise ZeroDivisionError
    assert program.returncode == -signal.SIGKILL
    assert program.stdout is not None
    assert program.stdout.closed


def test_one_that_has_ended_keeps_its_code() -> None:
    with ended(subprocess.Popen(["sh", "-c", "exit 3"])) as program:
        program.wait()
    assert program.returncode == 3
